// A server that accepts calls of the Kinesis API which are signed right, by the judgement of
// npm's aws4: the test's access key is AKID, its secret SECRET, its region eu-central-1. Prints
// its URL. Others get what AWS answers to a wrong signature.
'use strict';

const http = require('http');
const aws4 = require('aws4');

const SIGNED = ['content-type', 'x-amz-target', 'x-amz-date', 'x-amz-security-token'];

function expected(request, body) {
  const headers = { Host: request.headers.host };
  for (const name of SIGNED) if (request.headers[name]) headers[name] = request.headers[name];
  const options = {
    service: 'kinesis', region: 'eu-central-1', method: 'POST', path: request.url, headers, body,
    // What is signed is what the request says is signed.
    extraHeadersToIgnore: { 'content-length': true },
  };
  aws4.sign(options, { accessKeyId: 'AKID', secretAccessKey: 'SECRET' });
  return options.headers.Authorization;
}

// The order of the parts, and blanks between them, do not matter.
const parts = (text) => String(text).replace(/^AWS4-HMAC-SHA256 /, '').split(/,\s*/).sort().join();

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const right = parts(request.headers.authorization)
      === parts(expected(request, Buffer.concat(chunks)));
    const answer = right ? { Shards: [{ ShardId: 'shardId-000000000000' }] }
      : { __type: 'InvalidSignatureException', message: 'The signature does not match' };
    response.writeHead(right ? 200 : 400, { 'Content-Type': 'application/x-amz-json-1.1' });
    response.end(JSON.stringify(answer));
  });
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
