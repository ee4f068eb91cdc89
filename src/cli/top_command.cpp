#include "cli/top_command.hpp"

#include "cli/json.hpp"
#include "cli/task_text.hpp"
#include "cli/terminal.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

using Clock = std::chrono::steady_clock;

// How far apart the two looks are that a single figure for the CPU needs.
constexpr std::chrono::milliseconds kFirstLook{300};
constexpr char kCtrlC = 3;

Clock::duration interval_of(const TopArguments& arguments) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(arguments.interval.count()));
}

// The VMs that run, and what they did since the look before.
class Looker {
 public:
  explicit Looker(const Pyro& pyro) : pyro_(pyro) {}

  std::vector<TopRow> look() {
    TaskFilter filter;
    filter.states = {TaskState::starting, TaskState::running};
    std::vector<TopRow> rows;
    const auto now = Clock::now();
    std::map<std::string, Seen> seen;
    for (const bool is_task : {true, false}) {
      for (TaskInfo& vm : (is_task ? pyro_.list_tasks(filter) : pyro_.list_vms(filter)).tasks) {
        TopRow& row = rows.emplace_back();
        row.is_task = is_task;
        row.uptime_seconds = std::max<std::int64_t>(
            0,
            std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now() - vm.started_at).count());
        const auto before = seen_.find(vm.id);
        // Another start of the same VM has used less.
        if (before != seen_.end() && vm.host_cpu_time_ms >= before->second.cpu_time_ms) {
          const double wall_ms = std::chrono::duration<double, std::milli>(now - before->second.at).count();
          row.cpu_percent =
              static_cast<double>(vm.host_cpu_time_ms - before->second.cpu_time_ms) * 100.0 / std::max(wall_ms, 1.0);
        }
        seen[vm.id] = {now, vm.host_cpu_time_ms};
        row.vm = std::move(vm);
      }
    }
    seen_ = std::move(seen);
    std::stable_sort(rows.begin(), rows.end(),
                     [](const TopRow& a, const TopRow& b) { return a.cpu_percent > b.cpu_percent; });
    return rows;
  }

 private:
  struct Seen {
    Clock::time_point at;
    std::uint64_t cpu_time_ms = 0;
  };

  const Pyro& pyro_;
  std::map<std::string, Seen> seen_;
};

std::string to_json(const std::vector<TopRow>& rows) {
  std::string list;
  for (const TopRow& row : rows) {
    JsonObject object;
    object.add("id", row.vm.id)
        .add("kind", row.is_task ? "task" : "vm")
        .add("state", to_string(row.vm.state))
        .add("environment", row.vm.environment)
        .add("engine", to_string(row.vm.engine))
        .add("uptime_seconds", row.uptime_seconds)
        .add_raw("cpu_percent", row.cpu_percent < 0 ? "null" : fmt::format("{:.1f}", row.cpu_percent))
        .add("host_cpu_time_ms", row.vm.host_cpu_time_ms)
        .add("host_memory_bytes", row.vm.host_memory_bytes)
        .add("disk_used_bytes", row.vm.disk_used_bytes)
        .add("command_count", row.vm.command_count);
    list += (list.empty() ? "" : ",") + object.str();
  }
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  return JsonObject().add("time", std::int64_t{now.count()}).add_raw("vms", "[" + list + "]").str();
}

// A second screen of the terminal, which leaves what was on the first as it was.
class Screen {
 public:
  Screen() { show(); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen() { hide(); }

  void show() {
    mode_.enter();
    write("\x1b[?1049h\x1b[?25l");
  }
  void hide() {
    write("\x1b[?25h\x1b[?1049l");
    mode_.leave();
  }
  // Lines beyond the size of the terminal are left out.
  static void draw(const std::string& text) {
    const auto size = terminal_size().value_or(TerminalSize{24, 80});
    std::string out = "\x1b[H";
    std::size_t begin = 0;
    for (std::uint32_t row = 1; row < size.rows && begin <= text.size(); ++row) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      out += text.substr(begin, std::min<std::size_t>(end - begin, size.columns)) + "\x1b[K\r\n";
      begin = end + 1;
    }
    write(out + "\x1b[J");
  }

 private:
  static void write(std::string_view text) {
    [[maybe_unused]] const ssize_t put = ::write(STDOUT_FILENO, text.data(), text.size());
  }
  RawMode mode_;
};

enum class Wake { time, redraw, quit };

// Until a key or a signal says something, or the time is over.
Wake wait(Signals& signals, Clock::time_point until, Screen* screen) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) {
      return Wake::time;
    }
    std::array<pollfd, 2> entries{{{signals.fd(), POLLIN, 0}, {screen != nullptr ? STDIN_FILENO : -1, POLLIN, 0}}};
    ::poll(entries.data(), entries.size(), static_cast<int>(left) + 1);
    if (entries[1].revents != 0) {
      char key = 0;
      if (::read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == kCtrlC) {
        return Wake::quit;
      }
    }
    while (const auto number = signals.take()) {
      if (*number == SIGTSTP && screen != nullptr) {
        screen->hide();
        ::kill(::getpid(), SIGSTOP);
      } else if (*number == SIGCONT && screen != nullptr) {
        screen->show();
        return Wake::redraw;
      } else if (*number == SIGWINCH) {
        return Wake::redraw;
      } else if (*number != SIGCONT && *number != SIGTSTP) {
        signals.set_fatal(*number);
        return Wake::quit;
      }
    }
  }
}

int watch(Looker& looker, const TopArguments& arguments, Signals& signals) {
  signals.add(SIGTSTP);
  const auto interval = interval_of(arguments);
  Screen screen;
  std::vector<TopRow> rows = looker.look();
  auto next = Clock::now() + std::min<Clock::duration>(interval, kFirstLook);
  while (true) {
    Screen::draw(
        fmt::format("{} running, every {} s; q quits\n\n{}", rows.size(), arguments.interval.count(), top_table(rows)));
    const Wake wake = wait(signals, next, &screen);
    if (wake == Wake::quit) {
      return signals.fatal() == 0 || signals.fatal() == SIGINT ? 0 : 128 + signals.fatal();
    }
    if (wake == Wake::time) {
      rows = looker.look();
      next = Clock::now() + interval;
    }
  }
}

}  // namespace

int top_command(const TopArguments& arguments, Signals& signals) {
  const Pyro pyro = open_pyro(arguments.common);
  Looker looker(pyro);
  if (is_terminal(STDOUT_FILENO) && !arguments.common.json && !arguments.once) {
    return watch(looker, arguments, signals);
  }
  looker.look();
  auto until = Clock::now() + kFirstLook;
  while (true) {
    Wake wake = Wake::redraw;
    while (wake == Wake::redraw) {
      wake = wait(signals, until, nullptr);
    }
    if (wake == Wake::quit) {
      return 128 + signals.fatal();
    }
    const std::vector<TopRow> rows = looker.look();
    if (const int exit_code = print(arguments.common.json ? to_json(rows) : top_table(rows))) {
      return exit_code;
    }
    if (arguments.once || !arguments.repeats) {
      return 0;
    }
    until = Clock::now() + interval_of(arguments);
  }
}

}  // namespace pyro::cli
