// Keeps a server on this machine that would listen on all addresses, and on free ports: prints,
// for each port that it asks for, that port and the URL where it is instead.
//
//   node --require tests/node/loopback.js SERVER.js
'use strict';

const net = require('net');

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function listenHere(first, ...rest) {
  const asked = first !== null && typeof first === 'object' ? first.port : first;
  this.once('listening', () => {
    console.log(`${asked} http://127.0.0.1:${this.address().port}`);
  });
  const after = rest.filter((argument) => typeof argument === 'function');
  return listen.call(this, { port: 0, host: '127.0.0.1' }, ...after);
};
