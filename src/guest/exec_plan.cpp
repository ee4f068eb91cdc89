#include "guest/exec_plan.hpp"

#include <cerrno>
#include <unordered_map>

namespace pyro::guest {

namespace {

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

}  // namespace

std::vector<std::string> command_environment(const wire::Exec& exec, const Account& account) {
  std::vector<std::string> out{
      "HOME=" + account.home,
      "USER=" + account.name,
      "LOGNAME=" + account.name,
      "SHELL=" + account.shell,
      "PATH=" + std::string(kDefaultPath),
      "LANG=C.UTF-8",
  };
  if (exec.pty) {
    out.emplace_back("TERM=xterm-256color");
  }
  // A request may bring a quarter of a million variables: looked up, not searched.
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < out.size(); ++i) {
    places.emplace(name_of(out[i]), i);
  }
  for (const auto& variable : exec.env) {
    const auto [place, is_new] = places.emplace(name_of(variable), out.size());
    if (is_new) {
      out.push_back(variable);
    } else {
      out[place->second] = variable;
    }
  }
  return out;
}

std::string_view environment_value(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string_view variable : environment) {
    if (name_of(variable) == name && variable.size() > name.size()) {
      return variable.substr(name.size() + 1);
    }
  }
  return {};
}

std::vector<std::string> exec_candidates(std::string_view command, std::string_view path) {
  if (command.empty()) {
    return {};
  }
  if (command.find('/') != std::string_view::npos) {
    return {std::string(command)};
  }
  std::vector<std::string> out;
  while (true) {
    const auto colon = path.find(':');
    const auto directory = path.substr(0, colon);
    out.push_back((directory.empty() ? "." : std::string(directory)) + "/" + std::string(command));
    if (colon == std::string_view::npos) {
      return out;
    }
    path.remove_prefix(colon + 1);
  }
}

wire::ExecFailure exec_failure(int sys_errno) noexcept {
  return sys_errno == ENOENT || sys_errno == ENOTDIR ? wire::ExecFailure::not_found : wire::ExecFailure::not_executable;
}

bool search_goes_on(int sys_errno) noexcept {
  switch (sys_errno) {
    case ENOENT:
    case ENOTDIR:
    case EACCES:
    case ENAMETOOLONG:
    case ELOOP:
      return true;
    default:
      return false;
  }
}

}  // namespace pyro::guest
