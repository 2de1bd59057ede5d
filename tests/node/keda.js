// Asks an external scaler what KEDA asks, with nothing of Lowmark's: grpc-js, and
// externalscaler.proto beside this.
//
//   NODE_PATH=$(tests/node/install)/node_modules node tests/node/keda.js COMMAND ADDRESS KEY=VALUE...
//
//   ask      what KEDA does at each poll; prints {"active": true, "replicas": 2, "metrics": [...]},
//            where replicas is what its autoscaler makes of that without any bounds
//   stream   prints what StreamIsActive says, a line each time, until it ends
//   specs    opens StreamMetricSpec, which need not be there; prints how that ends
'use strict';

const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const definition = loader.loadSync(path.join(__dirname, 'externalscaler.proto'),
  { keepCase: true, longs: Number, defaults: true });
const { ExternalScaler } = grpc.loadPackageDefinition(definition).externalscaler;

async function ask(client, ref) {
  const call = (method, request) => new Promise((resolve, reject) => {
    client[method](request, { deadline: Date.now() + 20000 },
      (error, answer) => (error ? reject(error) : resolve(answer)));
  });
  const metrics = [];
  for (const spec of (await call('GetMetricSpec', ref)).metricSpecs) {
    const target = spec.targetSizeFloat > 0 ? spec.targetSizeFloat : spec.targetSize;
    const answer = await call('GetMetrics',
      { scaledObjectRef: ref, metricName: spec.metricName });
    for (const value of answer.metricValues) {
      metrics.push({ name: value.metricName, target,
        value: value.metricValueFloat > 0 ? value.metricValueFloat : value.metricValue });
    }
  }
  const active = (await call('IsActive', ref)).result;
  // From none to one KEDA goes by itself; on from there its HorizontalPodAutoscaler does.
  const replicas = active
    ? Math.max(1, ...metrics.map(({ value, target }) => Math.ceil(value / target))) : 0;
  console.log(JSON.stringify({ active, replicas, metrics }));
}

function listen(events, show) {
  return new Promise((resolve, reject) => {
    events.on('data', show);
    events.on('end', resolve);
    events.on('error', reject);
  });
}

async function main([command, address, ...pairs]) {
  const scalerMetadata = { scalerAddress: address };
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    scalerMetadata[pair.slice(0, at)] = pair.slice(at + 1);
  }
  const ref = { name: 'workers', namespace: 'streams', scalerMetadata };
  const client = new ExternalScaler(address, grpc.credentials.createInsecure());
  if (command === 'ask') await ask(client, ref);
  if (command === 'stream') {
    await listen(client.StreamIsActive(ref), ({ result }) => console.log(result));
    console.log('ended');
  }
  if (command === 'specs') await listen(client.StreamMetricSpec(ref), () => {});
  client.close();
}

main(process.argv.slice(2)).catch((error) => {
  console.log(`keda.js: ${error.code} ${error.details}`);
  process.exit(1);
});
