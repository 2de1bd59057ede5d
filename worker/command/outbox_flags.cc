#include "worker/command/outbox_flags.h"

namespace lowmark {

void DeclareOutbox(Options& options, OutboxSourceOptions& flags) {
  CLI::App& app = options.app();
  const auto add = [&](const char* name, std::string& value, const char* description) {
    options.Add(app, name, value, description)->group("Source: outbox");
  };
  add("outbox-url", flags.url,
      "For outbox: the PostgreSQL database, as libpq takes it; what it leaves open comes from "
      "PGHOST, PGPASSWORD etc.");
  add("outbox-table", flags.table, "Its table, with or without a schema");
  options
      .Add(app, "outbox-shards", flags.shards,
           "Shards that its rows are spread over by key; another number needs a new stream")
      ->check(Range(1, 1000))
      ->group("Source: outbox");
  add("outbox-mark-column", flags.mark_column, "Column that says when a row was written");
  add("outbox-id-column", flags.id_column, "Column with the row's number");
  add("outbox-key-column", flags.key_column, "Column with the record's partition key");
  add("outbox-data-column", flags.data_column, "Column with the record's data");
  add("outbox-time-column", flags.time_column,
      "Column with the record's arrival time; empty: there is none");
}

}  // namespace lowmark
