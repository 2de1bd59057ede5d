// A Kinesis stream on this machine, and somebody who writes to it.
//
//   NODE_PATH=$(tests/node/install)/node_modules node tests/node/kinesis.js COMMAND
//
//   serve [PORT]                 kinesalite on 127.0.0.1 (without PORT, a free one); prints its URL
//   create URL STREAM SHARDS     a stream, once it can be used
//   put URL STREAM FILE          a record for each line of FILE, or of standard input where FILE is -;
//                                the partition key is the member "key" of its JSON, or the line
//   load URL STREAM RECORDS OUT  RECORDS records while every shard is split and pairs are merged;
//                                then writes to OUT what the stream holds: "shard ID PARENT..." for
//                                each shard, and "record ID N SEQUENCE" for its records, in their order
//
// Records of load are {"n": 1.., "kind": KIND}: every 97th is "bad", every 31st of the others
// "flaky", the rest "good".
'use strict';

const fs = require('fs');
const kinesis = require('@aws-sdk/client-kinesis');
const { NodeHttpHandler } = require('@smithy/node-http-handler');

const BATCH = 20;

// What serve's servers are told: reshard at once, and as often as wanted.
const SERVER = { createStreamMs: 20, deleteStreamMs: 20, updateStreamMs: 20, shardLimit: 1000 };

function serve(port) {
  const kinesalite = require('kinesalite');
  const server = kinesalite(SERVER);
  server.listen(Number(port || 0), '127.0.0.1', (error) => {
    if (error) throw error;
    console.log(`http://127.0.0.1:${server.address().port}`);
  });
}

class Stream {
  constructor(url, name) {
    this.name = name;
    this.client = new kinesis.KinesisClient({
      endpoint: url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      // The client speaks HTTP/2 otherwise, which these servers do not.
      requestHandler: new NodeHttpHandler(),
    });
  }

  send(command, input) {
    return this.client.send(new kinesis[command + 'Command']({ StreamName: this.name, ...input }));
  }

  async active() {
    for (;;) {
      const found = await this.send('DescribeStreamSummary', {});
      if (found.StreamDescriptionSummary.StreamStatus === 'ACTIVE') return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async create(shards) {
    await this.send('CreateStream', { ShardCount: Number(shards) });
    await this.active();
  }

  // In their order, each only after those before were taken.
  async put(records) {
    for (let i = 0; i < records.length; i += BATCH) {
      const batch = records.slice(i, i + BATCH)
        .map(({ key, data }) => ({ PartitionKey: key, Data: Buffer.from(data) }));
      const answer = await this.send('PutRecords', { Records: batch });
      if (answer.FailedRecordCount) throw new Error(`${answer.FailedRecordCount} records failed`);
    }
  }

  async shards() {
    const shards = [];
    for (let token; ;) {
      const page = await this.client.send(new kinesis.ListShardsCommand(
        token ? { NextToken: token } : { StreamName: this.name }));
      shards.push(...page.Shards);
      token = page.NextToken;
      if (!token) return shards;
    }
  }

  // Open shards in the order of their hash keys, so that neighbours can be merged.
  async open() {
    return (await this.shards()).filter((shard) => !shard.SequenceNumberRange.EndingSequenceNumber)
      .sort((a, b) => (BigInt(a.HashKeyRange.StartingHashKey)
        < BigInt(b.HashKeyRange.StartingHashKey) ? -1 : 1));
  }

  async splitAll() {
    for (const shard of await this.open()) {
      const { StartingHashKey, EndingHashKey } = shard.HashKeyRange;
      const middle = (BigInt(StartingHashKey) + BigInt(EndingHashKey)) / 2n + 1n;
      await this.send('SplitShard',
        { ShardToSplit: shard.ShardId, NewStartingHashKey: String(middle) });
      await this.active();
    }
  }

  // The second with the third, the fourth with the fifth, and so on: of different parents.
  async mergePairs() {
    const open = await this.open();
    for (let i = 1; i + 1 < open.length; i += 2) {
      await this.send('MergeShards',
        { ShardToMerge: open[i].ShardId, AdjacentShardToMerge: open[i + 1].ShardId });
      await this.active();
    }
  }

  async records(shard) {
    const all = [];
    let iterator = (await this.send('GetShardIterator',
      { ShardId: shard, ShardIteratorType: 'TRIM_HORIZON' })).ShardIterator;
    for (let empty = 0; iterator && empty < 2;) {
      const page = await this.client.send(
        new kinesis.GetRecordsCommand({ ShardIterator: iterator }));
      all.push(...page.Records);
      empty = page.Records.length ? 0 : empty + 1;
      iterator = page.NextShardIterator;
    }
    return all;
  }
}

const kindOf = (n) => (n % 97 === 0 ? 'bad' : n % 31 === 0 ? 'flaky' : 'good');

async function load(url, name, count, out) {
  const stream = new Stream(url, name);
  const steps = [() => stream.splitAll(), () => stream.mergePairs(), () => stream.splitAll(),
    () => stream.mergePairs()];
  let resharding = null;
  for (let n = 1; n <= count; n += BATCH) {
    const records = [];
    for (let i = n; i < n + BATCH && i <= count; ++i) {
      records.push({ key: `k${i}`, data: JSON.stringify({ n: i, kind: kindOf(i) }) });
    }
    await stream.put(records);
    // The next step begins beside the records that follow.
    if (n > (count / 6) * (5 - steps.length) && steps.length) {
      const step = steps.shift();
      resharding = (resharding || Promise.resolve()).then(step);
    }
  }
  await resharding;
  const lines = [];
  for (const shard of await stream.shards()) {
    const parents = [shard.ParentShardId, shard.AdjacentParentShardId].filter(Boolean);
    lines.push(['shard', shard.ShardId, ...parents].join(' '));
    for (const record of await stream.records(shard.ShardId)) {
      const { n } = JSON.parse(Buffer.from(record.Data));
      lines.push(`record ${shard.ShardId} ${n} ${record.SequenceNumber}`);
    }
  }
  // Whoever waits for it finds it whole.
  fs.writeFileSync(`${out}.new`, lines.join('\n') + '\n');
  fs.renameSync(`${out}.new`, out);
}

async function put(url, name, file) {
  const lines = fs.readFileSync(file === '-' ? 0 : file, 'utf8').split('\n').filter(Boolean);
  const keyOf = (line) => {
    try {
      return String(JSON.parse(line).key ?? line);
    } catch {
      return line;
    }
  };
  await new Stream(url, name).put(
    lines.map((line) => ({ key: keyOf(line).slice(0, 256), data: line })));
  console.log(`${lines.length} records`);
}

const COMMANDS = {
  serve,
  create: (url, name, shards) => new Stream(url, name).create(shards),
  put,
  load: (url, name, count, out) => load(url, name, Number(count), out),
};

async function main([command, ...rest]) {
  if (!COMMANDS[command]) throw new Error(`commands: ${Object.keys(COMMANDS).join(', ')}`);
  await COMMANDS[command](...rest);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`kinesis.js: ${error.name}: ${error.message}`);
  process.exit(1);
});
