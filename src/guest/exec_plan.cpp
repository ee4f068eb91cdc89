#include "guest/exec_plan.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <unordered_map>

namespace pyro::guest {

namespace {

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

}  // namespace

std::vector<std::string> command_environment(const wire::Exec& exec) {
  std::vector<std::string> out(std::begin(kAccountVariables), std::end(kAccountVariables));
  out.push_back("PATH=" + std::string(kDefaultPath));
  out.emplace_back("LANG=C.UTF-8");
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

ProgramSearch::ProgramSearch(std::string_view command, std::string_view path) noexcept
    : command_(command), path_(path), is_path_(command.find('/') != std::string_view::npos) {
  if (command.empty()) {
    path_.reset();
  }
}

ProgramSearch::Next ProgramSearch::next(std::span<char> file) noexcept {
  if (!path_) {
    return Next::none;
  }
  const auto colon = is_path_ ? std::string_view::npos : path_->find(':');
  std::string_view directory = path_->substr(0, colon);
  if (colon == std::string_view::npos) {
    path_.reset();
  } else {
    path_->remove_prefix(colon + 1);
  }
  if (directory.empty()) {
    directory = ".";
  }
  const std::string_view parts[] = {directory, "/", command_};
  auto* at = file.data();
  std::size_t room = file.size();
  for (const std::string_view part : is_path_ ? std::span(parts).last(1) : std::span(parts)) {
    if (part.size() >= room) {
      return Next::too_long;
    }
    at = std::copy(part.begin(), part.end(), at);
    room -= part.size();
  }
  *at = '\0';
  return Next::found;
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
