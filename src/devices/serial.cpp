#include "devices/serial.hpp"

namespace pyro::devices {

namespace {

// Registers and bits of the PC16550D data sheet, by their names there.
constexpr std::uint64_t kThrRbr = 0;  // divisor low with DLAB
constexpr std::uint64_t kIer = 1;     // divisor high with DLAB
constexpr std::uint64_t kIirFcr = 2;
constexpr std::uint64_t kLcr = 3;
constexpr std::uint64_t kMcr = 4;
constexpr std::uint64_t kLsr = 5;
constexpr std::uint64_t kMsr = 6;
constexpr std::uint64_t kScr = 7;

constexpr std::uint8_t kIerThre = 0x02;
constexpr std::uint8_t kIerBits = 0x0f;
constexpr std::uint8_t kIirNone = 0x01;
constexpr std::uint8_t kIirThre = 0x02;
constexpr std::uint8_t kIirFifoEnabled = 0xc0;
constexpr std::uint8_t kFcrEnable = 0x01;
constexpr std::uint8_t kFcrKept = 0xc9;  // the reset bits clear themselves
constexpr std::uint8_t kLcrDlab = 0x80;
constexpr std::uint8_t kLsrEmpty = 0x60;      // THRE, TEMT: always
constexpr std::uint8_t kMsrConnected = 0xb0;  // DCD, DSR, CTS
constexpr std::uint8_t kMcrLoop = 0x10;
constexpr std::uint8_t kMcrBits = 0x1f;

// In loop mode the modem outputs are the modem inputs; that is how drivers look for the chip.
std::uint8_t looped(std::uint8_t mcr) noexcept {
  return static_cast<std::uint8_t>((mcr & 0x0c) << 4 | (mcr & 0x02) << 3 | (mcr & 0x01) << 5);
}

}  // namespace

Serial::Serial(IrqLine& irq, std::function<void(base::ByteView)> sink) : irq_(irq), sink_(std::move(sink)) {}

void Serial::read(std::uint64_t offset, std::span<std::byte> data) noexcept {
  // As on the ISA bus, a wide access is one to each port.
  for (std::size_t i = 0; i < data.size(); ++i) {
    data[i] = static_cast<std::byte>(read_register(offset + i));
  }
}

void Serial::write(std::uint64_t offset, base::ByteView data) noexcept {
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (write_register(offset + i, static_cast<std::uint8_t>(data[i]))) {
      sink_(data.subspan(i, 1));
    }
  }
}

std::uint8_t Serial::read_register(std::uint64_t offset) noexcept {
  if (offset == kLsr) {
    return kLsrEmpty;  // asked before every character
  }
  const std::scoped_lock lock(mutex_);
  const bool dlab = (lcr_ & kLcrDlab) != 0;
  switch (offset) {
    case kThrRbr:
      return dlab ? divisor_[0] : 0;
    case kIer:
      return dlab ? divisor_[1] : ier_;
    case kIirFcr: {
      const auto fifo = static_cast<std::uint8_t>((fcr_ & kFcrEnable) != 0 ? kIirFifoEnabled : 0);
      if (thre_pending_ && (ier_ & kIerThre) != 0) {
        thre_pending_ = false;
        return fifo | kIirThre;
      }
      return fifo | kIirNone;
    }
    case kLcr:
      return lcr_;
    case kMcr:
      return mcr_;
    case kMsr:
      return (mcr_ & kMcrLoop) != 0 ? looped(mcr_) : kMsrConnected;
    case kScr:
      return scr_;
    default:
      return 0xff;
  }
}

// True if the byte is to be printed.
bool Serial::write_register(std::uint64_t offset, std::uint8_t value) noexcept {
  const std::scoped_lock lock(mutex_);
  const bool dlab = (lcr_ & kLcrDlab) != 0;
  switch (offset) {
    case kThrRbr:
      if (dlab) {
        divisor_[0] = value;
        return false;
      }
      transmitter_empty();
      return (mcr_ & kMcrLoop) == 0;
    case kIer:
      if (dlab) {
        divisor_[1] = value;
        return false;
      }
      if ((value & ~ier_ & kIerThre) != 0) {
        ier_ = value & kIerBits;
        thre_pending_ = false;
        transmitter_empty();  // enabling the interrupt of an empty transmitter raises it
      }
      ier_ = value & kIerBits;
      return false;
    case kIirFcr:
      fcr_ = value & kFcrKept;
      return false;
    case kLcr:
      lcr_ = value;
      return false;
    case kMcr:
      mcr_ = value & kMcrBits;
      return false;
    case kScr:
      scr_ = value;
      return false;
    default:
      return false;
  }
}

void Serial::transmitter_empty() noexcept {
  if (!thre_pending_ && (ier_ & kIerThre) != 0) {
    irq_.raise();
  }
  thre_pending_ = true;
}

base::Bytes Serial::save() const {
  const std::scoped_lock lock(mutex_);
  base::ByteWriter out;
  for (const std::uint8_t value : {ier_, fcr_, lcr_, mcr_, scr_, divisor_[0], divisor_[1]}) {
    out.u8(value);
  }
  out.u8(thre_pending_ ? 1 : 0);
  return std::move(out).take();
}

base::Status Serial::restore(base::ByteView saved) {
  const std::scoped_lock lock(mutex_);
  base::ByteReader in(saved);
  const std::uint8_t ier = in.u8();
  const std::uint8_t fcr = in.u8();
  const std::uint8_t lcr = in.u8();
  const std::uint8_t mcr = in.u8();
  const std::uint8_t scr = in.u8();
  const std::uint8_t divisor_low = in.u8();
  const std::uint8_t divisor_high = in.u8();
  const std::uint8_t thre_pending = in.u8();
  if (!in.finished() || (ier & ~kIerBits) != 0 || (fcr & ~kFcrKept) != 0 || (mcr & ~kMcrBits) != 0 ||
      thre_pending > 1) {
    return base::make_error(PYRO_ERROR_INVALID, "the saved state of the serial port has registers that cannot be");
  }
  ier_ = ier;
  fcr_ = fcr;
  lcr_ = lcr;
  mcr_ = mcr;
  scr_ = scr;
  divisor_ = {divisor_low, divisor_high};
  thre_pending_ = thre_pending == 1;
  return base::success();
}

}  // namespace pyro::devices
