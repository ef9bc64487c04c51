// SPDX-License-Identifier: Apache-2.0
// resolver.hpp - the addresses of peers that the configuration calls by name, now and whenever they may have changed.
//
// 1. Each name is looked up at the start; again after 5 s, and each time later, as long as that fails; and when the
//    node says that a peer is silent, though not sooner than `least_gap` after the last time.
// 2. One lookup at a time, 10 s at most, in a child without rights (os/name_lookup.hpp); the next `pace` later. The
//    start of the instance waits for none of them.
// 3. What a name gives is used as the file's own addresses are: not an address inside the overlay, which would carry
// the
//    tunnel through itself, nor our own.
// 4. A name that cannot be resolved is said once, with the cure, until it could be.
// Process: keeper, its loop. Errors: a child that cannot be made is a lookup that failed.
#pragma once

#include <lanloom/app/config.hpp>
#include <lanloom/base/clock.hpp>
#include <lanloom/core/candidates.hpp>
#include <lanloom/os/name_lookup.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace lanloom::app {

class resolver {
 public:
  static constexpr std::chrono::seconds deadline{10};
  static constexpr std::chrono::milliseconds pace{20};
  static constexpr std::chrono::seconds least_gap{5};
  static constexpr std::chrono::seconds longest_gap{300};

  // `forget` runs in each child (name_lookup). `on_addresses`: another list for this peer of the file.
  resolver(boost::asio::io_context& io, const config& c, const os::sandbox_identity& identity,
           std::function<void()> forget, std::function<void(std::size_t, const core::candidates&)> on_addresses);

  void start();
  // This peer does not answer. From the node: any number.
  void look_again(std::size_t peer);
  // The network is another: what failed may work now.
  void try_failed();
  void stop();

 private:
  using watched = boost::asio::posix::stream_descriptor;

  struct name {
    std::size_t peer;
    std::size_t entry;  // of the peer's endpoints
    std::vector<endpoint> found;
    std::optional<time_point> due;
    std::optional<time_point> looked;
    duration gap = least_gap;  // after the next failure
    bool failed = false;       // and that was said
  };

  void look();  // at the next name that is due, if none is being looked up
  void begin(std::size_t which);
  void end(const os::name_lookup::answer& answer);
  void on_failure(name& n, const std::string& why);
  [[nodiscard]] std::vector<endpoint> usable(const name& n, const std::vector<endpoint>& addresses,
                                             std::string& why) const;
  [[nodiscard]] std::string refusal(const endpoint& e) const;  // why it cannot be a peer's; empty if it can
  [[nodiscard]] core::candidates addresses_of(std::size_t peer) const;
  [[nodiscard]] std::string text_of(const name& n) const;  // "peer beta: beta.example.org"

  boost::asio::io_context& io_;
  std::vector<peer_config> peers_;
  endpoint listen_;
  std::vector<ip_prefix> overlay_;
  os::sandbox_identity identity_;
  std::function<void()> forget_;
  std::function<void(std::size_t, const core::candidates&)> on_addresses_;
  std::vector<name> names_;
  std::size_t turn_ = 0;  // whose it is next: a name that always hangs does not stop the others
  boost::asio::steady_timer timer_;
  std::optional<os::name_lookup> running_;
  std::optional<watched> answers_;
  std::size_t asked_ = 0;  // of names_
  std::size_t lookup_ = 0;
  bool stopped_ = false;
};

}  // namespace lanloom::app
