#include "guest/link_rules.hpp"

namespace pyro::guest {

base::Status LinkRules::accept(const wire::Frame& frame, bool stream_in_use) {
  using wire::FrameType;
  const auto refuse = [&](std::string_view why) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the supervisor sent a frame of type {} {}",
                            static_cast<unsigned>(frame.type), why);
  };
  switch (frame.type) {
    case FrameType::ping:
    case FrameType::power_off:
      return base::success();
    case FrameType::personalise:
      if (personalised_) {
        return refuse("a second time");
      }
      personalised_ = true;
      return base::success();
    case FrameType::exec:
      if (stream_in_use) {
        return refuse("for a stream that is in use");
      }
      break;
    case FrameType::data:
      if (frame.channel_number() != static_cast<std::uint8_t>(wire::Channel::in)) {
        return refuse("on a channel that only the agent writes");
      }
      break;
    case FrameType::credit:
      if (frame.channel_number() == static_cast<std::uint8_t>(wire::Channel::in)) {
        return refuse("on a channel that only the agent reads");
      }
      break;
    case FrameType::signal:
    case FrameType::resize:
    case FrameType::kill:
      break;
    default:
      return refuse("that only others may send");
  }
  if (!personalised_) {
    return refuse("before personalise");
  }
  return base::success();
}

}  // namespace pyro::guest
