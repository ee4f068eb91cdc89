// ClientSet: the links to all clients of one VM. The first is handed over at the start; others come through a
// listening socket. Every client is known by a number that is never used again, so that whatever refers to one that
// has gone is simply not found.
// Thread rule: everything on the thread that runs the io_context.
#pragma once

#include "supervisor/link.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace pyro::supervisor {

using ClientId = std::uint64_t;

/// The client that the supervisor was started by.
inline constexpr ClientId kFirstClient = 1;
/// Connections at once: half of the descriptors that the jail leaves (jail/confine.hpp), so that one more can always be
/// taken in and closed.
inline constexpr std::size_t kMaxClients = 128;

class ClientSet {
 public:
  struct Handlers {
    std::function<void(ClientId, wire::Frame)> on_frame;
    /// As Link's; the client is still there, and drop() is what the owner does about it.
    std::function<void(ClientId, const std::string& why)> on_end;
    /// Another client has connected. It has not been told anything yet.
    std::function<void(ClientId)> on_connect;
  };

  ClientSet(boost::asio::io_context& io, base::Fd first, Handlers handlers);

  /// The first one is read from here on.
  void start();
  /// Takes in other clients at a listening socket, those of the first one's user only.
  base::Status listen(base::Fd listener);
  /// No more clients are taken in.
  void stop_listening() noexcept { listener_.reset(); }

  // To a client that has gone: nothing.
  void send_control(ClientId client, base::Bytes frame);
  void send_data(ClientId client, base::Bytes frame);
  /// To all.
  void broadcast_control(const base::Bytes& frame);
  /// As Link::when_sent(); never if the client goes before.
  void when_sent(ClientId client, std::function<void()> then);
  /// Sends at once what the sockets take. Gives those for whom something is left.
  std::vector<ClientId> flush();
  /// Control frames that wait for a client to read; 0 if it has gone.
  [[nodiscard]] std::size_t pending_control_bytes(ClientId client) const;
  /// What the first client sent along.
  [[nodiscard]] std::vector<base::Fd> take_fds();

  /// Forgets a client and closes its connection. May be called from any of its callbacks.
  void drop(ClientId client);
  [[nodiscard]] bool contains(ClientId client) const { return links_.contains(client); }
  [[nodiscard]] std::size_t size() const noexcept { return links_.size(); }
  /// Numbers of all, ascending.
  [[nodiscard]] std::vector<ClientId> ids() const;

 private:
  ClientId add(base::Fd socket);
  void wait_for_clients();
  void accept_clients();

  boost::asio::io_context& io_;
  Handlers handlers_;
  std::map<ClientId, std::unique_ptr<Link>> links_;
  /// Closed as soon as nothing of theirs runs.
  std::shared_ptr<std::vector<std::unique_ptr<Link>>> dropped_ = std::make_shared<std::vector<std::unique_ptr<Link>>>();
  ClientId next_ = kFirstClient;
  std::uint32_t owner_uid_;
  std::optional<boost::asio::posix::stream_descriptor> listener_;
  boost::asio::steady_timer pause_;
};

}  // namespace pyro::supervisor
