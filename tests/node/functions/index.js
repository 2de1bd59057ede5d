// Lambda functions as their authors write them: nothing in them knows of Lowmark.
const { BatchProcessor, EventType, processPartialResponse } =
  require('@aws-lambda-powertools/batch');
const { KinesisDataStreamSchema } = require('@aws-lambda-powertools/parser/schemas/kinesis');
const { DynamoDBStreamSchema } = require('@aws-lambda-powertools/parser/schemas/dynamodb');
const { KafkaSelfManagedEventSchema } = require('@aws-lambda-powertools/parser/schemas/kafka');

// With Powertools: every record is tried, and those that failed are named.
const kinesisProcessor = new BatchProcessor(EventType.KinesisDataStreams);
exports.kinesis = async (event, context) =>
  processPartialResponse(
    event,
    async (record) => {
      const data = Buffer.from(record.kinesis.data, 'base64').toString();
      if (data.includes('bad')) throw new Error(`cannot process ${data}`);
    },
    kinesisProcessor,
    { context }
  );

const dynamodbProcessor = new BatchProcessor(EventType.DynamoDBStreams);
exports.dynamodb = async (event, context) =>
  processPartialResponse(
    event,
    async (record) => {
      if (record.dynamodb.NewImage.Bad) throw new Error('cannot process the item');
    },
    dynamodbProcessor,
    { context }
  );

// By hand: stops at the first record that fails and returns its number.
exports.classic = async (event) => {
  let sequenceNumber = '';
  try {
    event.Records.forEach((record, i) => {
      sequenceNumber = record.dynamodb.SequenceNumber;
      if (i === 3) throw new Error('the fourth record');
    });
  } catch (error) {
    return { batchItemFailures: [{ itemIdentifier: sequenceNumber }] };
  }
};

// The events' forms, strictly.
exports.kinesisSchema = async (event) => void KinesisDataStreamSchema.parse(event);
exports.dynamodbSchema = async (event) => void DynamoDBStreamSchema.parse(event);
exports.kafkaSchema = async (event) => void KafkaSelfManagedEventSchema.parse(event);

// What a function is told beside the event.
exports.context = async (event, context) => {
  const { awsRequestId, functionName, functionVersion, invokedFunctionArn } = context;
  const left = context.getRemainingTimeInMillis();
  throw new Error(
    JSON.stringify({ awsRequestId, functionName, functionVersion, invokedFunctionArn, left })
  );
};

exports.exits = async () => process.exit(3);
exports.nothing = async () => {};
