#include "supervisor/client_set.hpp"

#include "base/io.hpp"

#include <cerrno>
#include <chrono>
#include <utility>

#include <sys/socket.h>
#include <boost/asio/post.hpp>

namespace pyro::supervisor {

namespace {

// Out of descriptors or memory: somebody may give some back.
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::uint32_t kNobody = UINT32_MAX;

std::uint32_t peer_uid(int socket) noexcept {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.uid : kNobody;
}

}  // namespace

ClientSet::ClientSet(boost::asio::io_context& io, base::Fd first, Handlers handlers)
    : io_(io), handlers_(std::move(handlers)), owner_uid_(peer_uid(first.get())), pause_(io) {
  add(std::move(first));
}

ClientId ClientSet::add(base::Fd socket) {
  const ClientId id = next_++;
  links_.emplace(id, std::make_unique<Link>(io_, std::move(socket), id == kFirstClient,
                                            Link::Handlers{[this, id](wire::Frame frame) {
                                                             // Frames that came with the one for which it was dropped.
                                                             if (contains(id)) {
                                                               handlers_.on_frame(id, std::move(frame));
                                                             }
                                                           },
                                                           [this, id](const std::string& why) {
                                                             if (contains(id)) {
                                                               handlers_.on_end(id, why);
                                                             }
                                                           }}));
  return id;
}

void ClientSet::start() {
  links_.at(kFirstClient)->start();
}

base::Status ClientSet::listen(base::Fd listener) {
  PYRO_TRY(base::set_nonblocking(listener.get()));
  listener_.emplace(io_, listener.release());
  wait_for_clients();
  return base::success();
}

void ClientSet::wait_for_clients() {
  listener_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                        [this](const boost::system::error_code& error) {
                          if (!error && listener_) {
                            accept_clients();
                          }
                        });
}

void ClientSet::accept_clients() {
  while (true) {
    base::Fd socket(::accept4(listener_->native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) {
        continue;
      }
      if (errno == EAGAIN) {
        return wait_for_clients();
      }
      pause_.expires_after(kAcceptPause);
      return pause_.async_wait([this](const boost::system::error_code& error) {
        if (!error && listener_) {
          wait_for_clients();
        }
      });
    }
    // The socket's folder is its owner's alone; this is for a folder that was opened up by mistake.
    const std::uint32_t uid = peer_uid(socket.get());
    if (uid == kNobody || uid != owner_uid_ || links_.size() >= kMaxClients) {
      continue;
    }
    const ClientId id = add(std::move(socket));
    links_.at(id)->start();
    handlers_.on_connect(id);
    if (!listener_) {
      return;
    }
  }
}

void ClientSet::send_control(ClientId client, base::Bytes frame) {
  if (const auto found = links_.find(client); found != links_.end()) {
    found->second->send_control(std::move(frame));
  }
}

void ClientSet::send_data(ClientId client, base::Bytes frame) {
  if (const auto found = links_.find(client); found != links_.end()) {
    found->second->send_data(std::move(frame));
  }
}

void ClientSet::broadcast_control(const base::Bytes& frame) {
  // What is sent may make the owner drop one.
  for (const ClientId id : ids()) {
    send_control(id, frame);
  }
}

void ClientSet::when_sent(ClientId client, std::function<void()> then) {
  if (const auto found = links_.find(client); found != links_.end()) {
    found->second->when_sent(std::move(then));
  }
}

std::vector<ClientId> ClientSet::flush() {
  std::vector<ClientId> behind;
  // What has been sent may make the owner drop one.
  for (const ClientId id : ids()) {
    if (const auto found = links_.find(id); found != links_.end()) {
      Link& link = *found->second;
      link.flush();
      if (link.pending_bytes() != 0) {
        behind.push_back(id);
      }
    }
  }
  return behind;
}

std::size_t ClientSet::pending_control_bytes(ClientId client) const {
  const auto found = links_.find(client);
  return found == links_.end() ? 0 : found->second->pending_control_bytes();
}

std::vector<base::Fd> ClientSet::take_fds() {
  const auto first = links_.find(kFirstClient);
  return first == links_.end() ? std::vector<base::Fd>() : first->second->take_fds();
}

void ClientSet::drop(ClientId client) {
  const auto found = links_.find(client);
  if (found == links_.end()) {
    return;
  }
  // It may be at work further up the stack.
  dropped_->push_back(std::move(found->second));
  links_.erase(found);
  boost::asio::post(io_, [dropped = std::weak_ptr(dropped_)] {
    if (const auto links = dropped.lock()) {
      links->clear();
    }
  });
}

std::vector<ClientId> ClientSet::ids() const {
  std::vector<ClientId> ids;
  for (const auto& [id, link] : links_) {
    ids.push_back(id);
  }
  return ids;
}

}  // namespace pyro::supervisor
