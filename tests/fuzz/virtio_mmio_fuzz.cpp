// The registers of a virtio-mmio device, at every offset and width, by a driver that may have set it up or not.
// Invariants: nothing crashes or hangs, a fault is reported once at most, and the state can always be saved and
// restored.
#include "devices/virtio/mmio_transport.hpp"
#include "devices/virtio/rng.hpp"
#include "fuzz_input.hpp"

using namespace pyro::devices;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::Input input(data, size);
  const auto& memory = test::fresh_memory();
  test::FakeIrq irq;
  int faults = 0;
  virtio::MmioTransport transport(memory, irq, std::make_unique<virtio::Rng>(),
                                  {{}, [&faults](std::string_view) { ++faults; }});
  test::FakeDriver driver(memory, transport);
  if (input.take<std::uint8_t>() % 2 == 0) {
    test::require(driver.start(~std::uint64_t{0}, 8));
  }
  while (!input.empty()) {
    const std::uint8_t action = input.take<std::uint8_t>();
    const std::uint64_t offset = input.take<std::uint16_t>() % virtio::kMmioTransportBytes;
    std::array<std::byte, 8> bytes{};
    switch (action % 8) {
      case 0:
        transport.read(offset, std::span(bytes).first(1 + action / 8 % 8));
        break;
      case 1: {
        const auto value = input.take_bytes(1 + action / 8 % 8);
        transport.write(offset, value);
        break;
      }
      case 2:
      case 3:  // as the registers want it, and so more often
        driver.set(offset % 0x104 / 4 * 4, input.take<std::uint32_t>());
        break;
      case 4:
        test::scribble(input, memory);
        break;
      case 5:
        transport.notify(action / 8);
        break;
      case 6:
        transport.config_changed();
        break;
      default: {
        const auto saved = transport.save();
        test::require(transport.restore(saved).ok());
        test::require(transport.save() == saved);
        break;
      }
    }
  }
  test::require(faults <= 1);
  return 0;
}
