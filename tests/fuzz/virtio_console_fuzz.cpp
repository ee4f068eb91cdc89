// The console: a hostile driver on one side, a host that sends, stops and resumes on the other.
// Invariants: nothing crashes or hangs, send() never says more than it was given, and no byte is asked of the host
// while its end is closed.
#include "devices/virtio/console.hpp"
#include "devices/virtio/mmio_transport.hpp"
#include "fuzz_input.hpp"

#include <algorithm>

using namespace pyro::devices;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::Input input(data, size);
  const auto& memory = test::fresh_memory();
  test::FakeIrq irq;
  std::size_t room = 0;
  bool connected = false;
  virtio::ConsoleHost host;
  host.output = [&room, &connected](pyro::base::ByteView bytes) {
    test::require(connected && !bytes.empty());
    const std::size_t taken = std::min(room, bytes.size());
    room -= taken;
    return taken;
  };
  host.writable = [] {};
  virtio::MmioTransport transport(memory, irq, std::make_unique<virtio::Console>("pyro.agent", host), {});
  auto& console = static_cast<virtio::Console&>(transport.device());
  test::FakeDriver driver(memory, transport);
  test::require(driver.start(~std::uint64_t{0}, 8));
  const std::uint64_t buffer = test::kFuzzedGpa + 0x2000;
  while (!input.empty()) {
    const std::uint8_t action = input.take<std::uint8_t>();
    const std::uint32_t queue = action / 8 % 6;
    switch (action % 8) {
      case 0:
        test::scribble(input, memory);
        break;
      case 1:  // a sound chain
        driver.add(queue, {{buffer + queue * 64, 1U + input.take<std::uint8_t>(), queue % 2 == 0}});
        driver.kick(queue);
        break;
      case 2: {  // a control message
        driver.poke(buffer, std::uint32_t{1});
        driver.poke(buffer + 4, std::uint16_t{input.take<std::uint8_t>()});
        driver.poke(buffer + 6, std::uint16_t{1});
        driver.add(3, {{buffer, 8}});
        driver.kick(3);
        break;
      }
      case 3: {
        const auto bytes = input.take_bytes(action);
        test::require(console.send(bytes) <= bytes.size());
        break;
      }
      case 4:
        room = action;
        console.resume_output();
        break;
      case 5:
        connected = action >= 128;
        console.set_connected(connected);
        break;
      case 6:
        driver.kick(queue);
        break;
      default: {
        const auto saved = transport.save();
        test::require(transport.restore(saved).ok());
        transport.kick_all();
        break;
      }
    }
    if (driver.broken()) {
      test::require(driver.start(~std::uint64_t{0}, 8));
    }
  }
  return 0;
}
