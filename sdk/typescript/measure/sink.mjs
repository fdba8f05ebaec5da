// A collector that keeps nothing: it answers every call with the last sequence it was sent.
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { loaderOptions, protoPath } from '@sluice/proto';

const { Log } = loadSync(protoPath, loaderOptions)['sluice.v1.EventCollector'];
const server = new grpc.Server({ 'grpc.max_receive_message_length': 16 * 1024 * 1024 });
server.addService(
  { Log: { ...Log, requestDeserialize: (bytes) => bytes } },
  {
    Log(call, respond) {
      let messages = 0;
      call.on('data', () => messages++);
      // No sequence is this large, so everything that was sent is acknowledged.
      call.on('end', () => respond(null, { durable_sequence: String(2 ** 52), accepted: String(messages) }));
    },
  },
);
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
