// Messages of a client that attaches to a command that runs already: somebody else started it, or an earlier process.
// What the command prints is not among them: that is in the journal, which the client reads by itself.
// Pure code: no I/O.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstdint>

namespace pyro::wire {

/// Client → supervisor, opens a stream of the client's: it is about this command from here on.
struct Join {
  /// Of the command in the journal.
  std::uint64_t number = 0;
  /// It may send input. A command without a terminal keeps its input open for as long as somebody may.
  bool takes_input = false;
  /// Size that the command's terminal is to have, and is to redraw; both 0: as it is.
  std::uint16_t rows = 0;
  std::uint16_t columns = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Join> decode(base::ByteView payload);
};

/// The answer to it.
struct Joined {
  /// False: no such command runs. The stream is closed, and the journal says what became of it.
  bool runs = false;
  /// Its input has not been closed yet.
  bool input_open = false;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Joined> decode(base::ByteView payload);
};

/// Client → supervisor: tell me once the command has printed more than this (both streams together). The last one
/// counts, and it is answered once.
struct Watch {
  std::uint64_t seen_bytes = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Watch> decode(base::ByteView payload);
};

/// The answer: so much has been printed, and is in the journal unless that had no room for it.
struct Printed {
  std::uint64_t total_bytes = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Printed> decode(base::ByteView payload);
};

}  // namespace pyro::wire
