// A split virtqueue whose memory is the input. Invariants: every buffer lies in guest memory, readable ones come
// first, the sums are right, and no chain takes for ever.
#include "devices/virtio/queue.hpp"
#include "fuzz_input.hpp"

namespace {

using namespace pyro::devices;
using namespace pyro::devices::virtio;

void check(const Chain& chain, const pyro::memory::GuestMemory& memory) {
  std::uint64_t readable = 0;
  std::uint64_t writable = 0;
  for (const Buffer& buffer : chain.readable()) {
    const auto bytes = memory.slice_readable(buffer.gpa, buffer.size);
    test::require(bytes && bytes->data() == buffer.data && buffer.size != 0);
    readable += buffer.size;
  }
  for (const Buffer& buffer : chain.writable()) {
    const auto bytes = memory.slice(buffer.gpa, buffer.size);
    test::require(bytes && bytes->data() == buffer.data && buffer.size != 0);
    writable += buffer.size;
  }
  test::require(readable == chain.readable_bytes() && readable <= UINT32_MAX);
  test::require(writable == chain.writable_bytes() && writable <= UINT32_MAX);
  test::require(chain.readable().size() + chain.writable().size() <= kMaxChainBuffers);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::Input input(data, size);
  const auto& memory = test::fresh_memory();
  QueueLayout layout;
  layout.size = input.take<std::uint16_t>();
  layout.desc_gpa = test::kFuzzedGpa + input.take<std::uint16_t>();
  layout.avail_gpa = test::kFuzzedGpa + input.take<std::uint16_t>();
  layout.used_gpa = test::kFuzzedGpa + input.take<std::uint16_t>();
  const std::uint64_t features = std::uint64_t{input.take<std::uint8_t>()} << 28;
  QueuePosition position;
  position.next_avail = input.take<std::uint16_t>();
  position.next_used = input.take<std::uint16_t>();
  auto queue = Queue::create(memory, layout, features, position);
  if (!queue.ok()) {
    return 0;
  }
  Chain chain;
  while (!input.empty() && queue->broken() == nullptr) {
    test::scribble(input, memory);
    for (int i = 0; i <= layout.size && queue->pop(chain); ++i) {
      check(chain, memory);
      std::array<std::byte, 64> bytes{};
      chain.copy_out(input.take<std::uint8_t>(), bytes);
      chain.copy_in(input.take<std::uint8_t>(), bytes);
      queue->push(chain, static_cast<std::uint32_t>(chain.writable_bytes()));
    }
    (void)queue->take_interrupt();
    queue->disable_notifications();
    (void)queue->enable_notifications();
  }
  return 0;
}
