// Puts the messages of a call into one block of memory. A report's request and
// answer have some thirty strings and messages within them; allocated one by one,
// by one thread, and freed by another, they cost a tenth of the call.
#ifndef LOWMARK_SERVICE_RPC_MESSAGE_ARENA_H_
#define LOWMARK_SERVICE_RPC_MESSAGE_ARENA_H_

#include <google/protobuf/arena.h>
#include <grpcpp/support/message_allocator.h>

namespace lowmark {

// For SetMessageAllocatorFor_METHOD of a callback service, which it must outlive.
// Thread-safe.
template <typename Request, typename Response>
class MessageArena final : public grpc::MessageAllocator<Request, Response> {
 public:
  grpc::MessageHolder<Request, Response>* AllocateMessages() override { return new Holder(); }

 private:
  class Holder final : public grpc::MessageHolder<Request, Response> {
   public:
    Holder() : arena_(first_block_, sizeof(first_block_)) {
      this->set_request(google::protobuf::Arena::CreateMessage<Request>(&arena_));
      this->set_response(google::protobuf::Arena::CreateMessage<Response>(&arena_));
    }
    // Called once, when the call is over.
    void Release() override { delete this; }

   private:
    // Enough for a report of a batch that succeeded; more is allocated.
    alignas(8) char first_block_[1536];
    google::protobuf::Arena arena_;
  };
};

}  // namespace lowmark

#endif  // LOWMARK_SERVICE_RPC_MESSAGE_ARENA_H_
