// A Lambda function as one writes it: works through the batch in order, and names the
// first record that it cannot process. Orders 4, 7 and 10 fail the first time, as when a
// database is busy for a moment. It logs what it was given, for the quickstart to show.
'use strict';

const fs = require('fs');

const seen = new Set();

exports.handler = async (event) => {
  const orders = [];
  let failed = null;
  for (const { kinesis } of event.Records) {
    const { order } = JSON.parse(Buffer.from(kinesis.data, 'base64').toString());
    orders.push(order);
    if (failed === null && [4, 7, 10].includes(order) && !seen.has(order)) {
      seen.add(order);
      failed = { order, sequence: kinesis.sequenceNumber };
    }
  }
  const line = { orders, failed: failed && failed.order };
  fs.appendFileSync(process.env.WALK_LOG, JSON.stringify(line) + '\n');
  return { batchItemFailures: failed ? [{ itemIdentifier: failed.sequence }] : [] };
};
