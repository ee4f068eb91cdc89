// Each virtio device behind its registers, at every offset and width, and behind its queues, by a driver that may have
// set it up or not. The first byte of the input says which device, whether the driver has, and whether a worker serves.
// Invariants: nothing crashes or hangs; a device writes to nothing but used rings and what a descriptor lets it write
// to; a doorbell costs no more chains than the queue or a turn has; a driver that breaks its device is told so with
// DEVICE_NEEDS_RESET, the host once at most, and then nothing moves until a reset; the state can always be saved and
// restored.
#include "devices/virtio/mmio_transport.hpp"
#include "fuzz_input.hpp"
#include "memory_guard.hpp"
#include "virtio_devices.hpp"

#include <bit>

namespace {

using namespace pyro::devices;
using pyro::base::ByteView;
using test::Kind;
using Writes = test::MemoryGuard::Writes;

// Turns that a worker has after each move of the driver's: it would go on for ever where a driver never stops.
constexpr int kTurns = 4;
constexpr std::uint64_t kTableGpa = test::kFuzzedGpa + 0xf000;

Writes writes_of(Kind kind) {
  if (kind == Kind::balloon) {
    return Writes::zeroes;
  }
  return kind == Kind::net ? Writes::used_rings : Writes::buffers;
}

class Rig {
 public:
  Rig(Kind kind, bool has_worker)
      : kind_(kind),
        has_worker_(has_worker),
        transport_(memory_, irq_, test::make_device(kind, memory_, peer_), callbacks()),
        guard_(memory_, writes_of(kind)) {}

  void start(std::uint16_t size, std::uint64_t without_features) {
    driver_.emplace(memory_, transport_);
    test::require(driver_->start(driver_->offered() & ~without_features, size));
    forget();
  }

  void act(test::Input& input) {
    const std::uint8_t action = input.take<std::uint8_t>();
    std::uint64_t offset = input.take<std::uint16_t>() % virtio::kMmioTransportBytes;
    if ((action & 0x40) != 0) {
      offset = 0x100 + offset % 0x50;  // where configurations are
    }
    const std::size_t width = 1 + action / 8 % 8;
    switch (action % 8) {
      case 0:
        read(offset, width);
        break;
      case 1:
        write(offset, input.take_bytes(width));
        break;
      case 2: {  // as the registers want it, and so more often
        const auto value = input.take<std::uint32_t>();
        write(offset % 0x104 / 4 * 4, std::as_bytes(std::span(&value, 1)));
        break;
      }
      case 3:
        request(action, static_cast<std::uint32_t>(offset), input);
        break;
      case 4:
        test::scribble(input, memory_);
        guard_.accept();
        break;
      case 5:
        ring(action / 8);
        break;
      case 6:
        host(action / 8, offset, input);
        break;
      default:
        save_and_restore((action & 8) != 0);
        break;
    }
    for (int turn = 0; turn < kTurns && kicked_ != 0; ++turn) {
      const int index = std::countr_zero(kicked_);
      kicked_ &= kicked_ - 1;
      ring(static_cast<std::uint16_t>(index));
    }
    kicked_ = 0;
    settle();
  }

 private:
  virtio::MmioTransport::Callbacks callbacks() {
    virtio::MmioTransport::Callbacks callbacks;
    if (has_worker_) {
      callbacks.kick = [this](std::uint16_t index) { kicked_ |= 1U << index; };
    }
    callbacks.on_fault = [this](std::string_view) {
      test::require(++faults_ == 1);
      test::require(driver_->broken());
    };
    return callbacks;
  }

  // What the device has written; true if all is known about it. One that is broken or given up writes nothing.
  bool observe() {
    if (was_dead_) {
      test::require(!guard_.changed());
    }
    return !guard_.changed() || guard_.check(test::saved_queues(transport_.save()));
  }
  // After a move of the driver's or the host's.
  void settle() {
    observe();
    const std::uint32_t status = driver_->status();
    test::require(!was_broken_ || driver_->broken());
    was_broken_ = driver_->broken();
    was_dead_ = (status & (virtio::VIRTIO_STATUS_DEVICE_NEEDS_RESET | virtio::VIRTIO_STATUS_FAILED)) != 0;
  }
  void forget() {
    was_broken_ = false;
    was_dead_ = false;
  }

  void read(std::uint64_t offset, std::size_t width) {
    std::array<std::byte, 16> bytes{};
    bytes.fill(std::byte{0xa5});
    transport_.read(offset, std::span(bytes).first(width));
    test::require(std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(width), bytes.end(),
                              [](std::byte byte) { return byte == std::byte{0xa5}; }));
  }

  void write(std::uint64_t offset, ByteView value) {
    const bool resets = offset == 0x70 && value.size() == 4 &&
                        std::ranges::all_of(value, [](std::byte byte) { return byte == std::byte{0}; });
    if (resets) {
      forget();
    }
    transport_.write(offset, value);
    if (resets) {
      test::require(driver_->status() == 0 && driver_->get(0x60) == 0);
    }
  }

  // A doorbell, by the worker if there is one: how many chains it served, and what it wrote.
  void ring(std::uint16_t index) {
    const auto before = test::saved_queues(transport_.save());
    transport_.notify(index);
    const bool known = observe();
    const auto after = test::saved_queues(transport_.save());
    if (index >= after.size() || driver_->broken()) {
      return;
    }
    const auto served = static_cast<std::uint16_t>(after[index].position.next_used - before[index].position.next_used);
    test::require(!has_worker_ || served <= virtio::kChainsPerTurn);
    test::require(!known || served <= after[index].layout.size);
  }

  // A chain whose form is sound more often than not, with content of the input's.
  void request(std::uint8_t action, std::uint32_t queue, test::Input& input) {
    std::vector<test::Piece> pieces;
    for (int count = 1 + action / 8 % 4; count > 0; --count) {
      const std::uint8_t flags = input.take<std::uint8_t>();
      const bool in_image = (flags & 2) != 0;
      const std::uint64_t gpa = (in_image ? test::kImage.gpa : test::kFuzzedGpa) + input.take<std::uint16_t>();
      const std::uint32_t size = input.take<std::uint16_t>();
      (void)memory_.write(gpa, input.take_bytes(flags >> 2));
      pieces.push_back({gpa, size, (flags & 1) != 0});
    }
    if (driver_->rings.empty()) {
      return guard_.accept();
    }
    queue %= static_cast<std::uint32_t>(driver_->rings.size());
    if ((action & 0x40) != 0) {
      // The same through a table of its own.
      virtio::Descriptor descriptor{};
      for (std::uint16_t i = 0; i < pieces.size(); ++i) {
        const bool last = i + 1U == pieces.size();
        descriptor = {pieces[i].gpa, pieces[i].size,
                      static_cast<std::uint16_t>((pieces[i].writable ? virtio::VIRTQ_DESC_F_WRITE : 0) |
                                                 (last ? 0 : virtio::VIRTQ_DESC_F_NEXT)),
                      static_cast<std::uint16_t>(i + 1)};
        driver_->poke(kTableGpa + i * sizeof(descriptor), descriptor);
      }
      auto& ring = driver_->rings[queue];
      const std::uint16_t head = ring.next_desc;
      ring.next_desc = static_cast<std::uint16_t>((head + 1) % ring.size);
      driver_->describe(ring, head,
                        {kTableGpa, static_cast<std::uint32_t>(pieces.size() * sizeof(descriptor)),
                         virtio::VIRTQ_DESC_F_INDIRECT, 0});
      driver_->offer(ring, head);
    } else {
      driver_->add(queue, pieces);
    }
    guard_.accept();
    if ((action & 0x80) != 0) {
      return;  // it may ring later
    }
    if (has_worker_) {
      driver_->kick(queue);
    } else {
      ring(static_cast<std::uint16_t>(queue));
    }
  }

  // What does not come from the guest, and a driver that begins again.
  void host(int what, std::uint64_t value, test::Input& input) {
    if (what == 0) {
      transport_.config_changed();
    } else if (what == 1) {
      if ((value & 0x80) != 0) {
        const std::array<std::byte, test::kFuzzedBytes> zeroes{};
        test::require(memory_.write(test::kFuzzedGpa, zeroes));
        guard_.accept();
      }
      start(static_cast<std::uint16_t>(1U << value % 6), std::uint64_t{value / 8 % 4} << 28);
    } else if (what == 31) {
      transport_.stop();
    } else if (kind_ == Kind::balloon) {
      static_cast<virtio::Balloon&>(transport_.device()).set_target_pages(static_cast<std::uint32_t>(value));
    } else if (kind_ == Kind::console) {
      host_of_console(what, value, input);
    }
  }
  void host_of_console(int what, std::uint64_t value, test::Input& input) {
    auto& console = static_cast<virtio::Console&>(transport_.device());
    if (what % 3 == 0) {
      peer_.room = value;
      console.resume_output();
    } else if (what % 3 == 1) {
      peer_.connected = value % 2 == 1;
      console.set_connected(peer_.connected);
    } else {
      const ByteView bytes = input.take_bytes(value % 256);
      const bool open = peer_.connected && console.guest_open() && driver_->status() == 15;
      test::require(console.send(bytes) <= (open ? bytes.size() : 0));
    }
  }

  void save_and_restore(bool go_on) {
    auto saved = transport_.save();
    test::require(transport_.restore(saved).ok());
    if (kind_ == Kind::console) {
      // It tells its driver once more whether the host is there.
      saved = transport_.save();
      test::require(transport_.restore(saved).ok());
    }
    test::require(transport_.save() == saved);
    if (go_on) {
      transport_.kick_all();
    }
  }

  const pyro::memory::GuestMemory& memory_ = test::small_memory();
  const Kind kind_;
  const bool has_worker_;
  test::FakeIrq irq_;
  test::ConsolePeer peer_;
  int faults_ = 0;
  std::uint32_t kicked_ = 0;
  bool was_broken_ = false;
  bool was_dead_ = false;
  virtio::MmioTransport transport_;
  test::MemoryGuard guard_;
  std::optional<test::FakeDriver> driver_{std::in_place, memory_, transport_};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::Input input(data, size);
  const std::uint8_t first = input.take<std::uint8_t>();
  Rig rig(static_cast<Kind>(first / 2 % test::kKinds), (first & 0x80) != 0);
  if (first % 2 == 0) {
    rig.start(8, 0);
  }
  while (!input.empty()) {
    rig.act(input);
  }
  return 0;
}
