#include "guest/pty.hpp"

#include "base/io.hpp"
#include "guest/boot.hpp"

#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

namespace pyro::guest {

base::Result<Pty> open_pty(std::uint16_t rows, std::uint16_t columns) {
  Pty pty;
  PYRO_TRY_ASSIGN(pty.master, base::open_file(fmt::format("{}/ptmx", kPtsPath), O_RDWR | O_NOCTTY | O_NONBLOCK));
  int unlocked = 0;
  if (::ioctl(pty.master.get(), TIOCSPTLCK, &unlocked) != 0) {
    return base::errno_error(errno, "cannot unlock a pseudo terminal");
  }
  pty.terminal.reset(::ioctl(pty.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!pty.terminal.valid()) {
    return base::errno_error(errno, "cannot open a pseudo terminal");
  }
  resize_pty(pty.master.get(), rows, columns);
  return pty;
}

void resize_pty(int master, std::uint16_t rows, std::uint16_t columns) {
  winsize size{};
  size.ws_row = rows;
  size.ws_col = columns;
  ::ioctl(master, TIOCSWINSZ, &size);
}

std::string_view end_of_input(int master, bool at_line_start) {
  termios modes{};
  if (::tcgetattr(master, &modes) != 0 || (modes.c_lflag & ICANON) == 0) {
    return {};
  }
  // Within a line the first one only hands the line over.
  return at_line_start ? "\x04" : "\x04\x04";
}

}  // namespace pyro::guest
