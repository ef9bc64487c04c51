// SPDX-License-Identifier: Apache-2.0
#include "resolver.hpp"

#include "config_values.hpp"

#include <lanloom/app/log.hpp>
#include <lanloom/app/plan.hpp>
#include <lanloom/os/clock.hpp>

#include <fcntl.h>

#include <algorithm>
#include <utility>

namespace lanloom::app {

using boost::system::error_code;

resolver::resolver(boost::asio::io_context& io, const config& c, const os::sandbox_identity& identity,
                   std::function<void()> forget, std::function<void(std::size_t, const core::candidates&)> on_addresses)
    : io_(io),
      peers_(c.peers),
      listen_(c.node.listen),
      overlay_(overlay_subnets(c)),
      identity_(identity),
      forget_(std::move(forget)),
      on_addresses_(std::move(on_addresses)),
      timer_(io) {
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    for (std::size_t k = 0; k < peers_[i].endpoints.size(); ++k) {
      if (!peers_[i].endpoints[k].name.empty()) names_.push_back({i, k, {}, {}, {}});
    }
  }
}

void resolver::start() {
  const time_point now = os::monotonic_now();
  for (name& n : names_) n.due = now;
  look();
}

void resolver::look_again(std::size_t peer) {
  const time_point now = os::monotonic_now();
  for (name& n : names_) {
    if (n.peer != peer || (n.looked && now - *n.looked < least_gap)) continue;
    n.due = n.due ? std::min(*n.due, now) : now;
  }
  look();
}

void resolver::try_failed() {
  const time_point now = os::monotonic_now();
  for (name& n : names_) {
    if (!n.failed || !n.due) continue;
    n.gap = least_gap;
    n.due = std::min(*n.due, std::max(now, *n.looked + least_gap));
  }
  look();
}

void resolver::stop() {
  stopped_ = true;
  timer_.cancel();
  answers_.reset();
  running_.reset();
}

void resolver::look() {
  if (running_ || stopped_ || names_.empty()) return;
  const time_point now = os::monotonic_now();
  time_point next = time_point::max();
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const std::size_t which = (turn_ + i) % names_.size();
    const auto& due = names_[which].due;
    if (due && *due <= now) {
      turn_ = which + 1;
      return begin(which);
    }
    if (due) next = std::min(next, *due);
  }
  if (next == time_point::max()) return;
  timer_.expires_after(next - now);
  timer_.async_wait([this](error_code error) {
    if (!error) look();
  });
}

void resolver::begin(std::size_t which) {
  name& n = names_[which];
  n.due.reset();
  n.looked = os::monotonic_now();
  asked_ = which;
  const auto& host = peers_[n.peer].endpoints[n.entry].name;
  try {
    running_.emplace(host, identity_, forget_);
    const int fd = ::fcntl(running_->fd(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) os::throw_errno("look up " + host);
    answers_.emplace(io_, fd);
  } catch (const std::system_error& e) {
    return end({{}, e.what()});
  }
  answers_->async_wait(watched::wait_read, [this, number = ++lookup_](error_code error) {
    if (!error && number == lookup_ && running_) end(running_->read());
  });
  timer_.expires_after(deadline);
  timer_.async_wait([this, number = lookup_](error_code error) {
    if (!error && number == lookup_ && running_) {
      end({{}, "no answer within " + std::to_string(deadline.count()) + " s"});
    }
  });
}

void resolver::end(const os::name_lookup::answer& answer) {
  ++lookup_;
  answers_.reset();
  running_.reset();
  name& n = names_[asked_];
  std::string why = answer.error;
  auto found = usable(n, answer.addresses, why);
  if (found.empty()) {
    on_failure(n, why);
  } else {
    if (std::exchange(n.failed, false)) spdlog::info("{} is {} now", text_of(n), to_string(found.front()));
    n.gap = least_gap;
    // A server that turns its answers round has said nothing new.
    if (!std::is_permutation(n.found.begin(), n.found.end(), found.begin(), found.end())) {
      n.found = std::move(found);
      on_addresses_(n.peer, addresses_of(n.peer));
    }
  }
  timer_.expires_after(pace);
  timer_.async_wait([this](error_code error) {
    if (!error) look();
  });
}

// The addresses of before stay in use.
void resolver::on_failure(name& n, const std::string& why) {
  n.due = os::monotonic_now() + n.gap;
  n.gap = std::min<duration>(n.gap * 2, longest_gap);
  if (std::exchange(n.failed, true)) return;
  spdlog::warn("{} cannot be used: {}; it is looked up again and again. See: getent ahosts {}", text_of(n), why,
               peers_[n.peer].endpoints[n.entry].name);
}

// `why` says what is wrong with the last that is left out.
std::vector<endpoint> resolver::usable(const name& n, const std::vector<endpoint>& addresses, std::string& why) const {
  std::vector<endpoint> good;
  for (endpoint e : addresses) {
    e.port = peers_[n.peer].endpoints[n.entry].at.port;
    if (const auto reason = refusal(e); !reason.empty()) {
      why = to_string(e) + ": " + reason;
    } else {
      good.push_back(e);
    }
  }
  return good;
}

std::string resolver::refusal(const endpoint& e) const {
  const auto address = address_of(e);
  if (const auto why = not_a_peers(address); !why.empty()) return std::string(why);
  for (const ip_prefix& subnet : overlay_) {
    if (subnet.contains(address)) return "it is inside the overlay's own subnet " + to_string(subnet);
  }
  if (e == listen_) return "it is our own address and port";
  if (e.is_v4() != listen_.is_v4() && (listen_.is_v4() || !listen_.is_unspecified())) {
    return "it is of another family than `listen` = " + to_string(listen_);
  }
  return {};
}

// Every entry has a place before any has a second.
core::candidates resolver::addresses_of(std::size_t peer) const {
  std::vector<endpoint> all;
  const auto& entries = peers_[peer].endpoints;
  for (std::size_t row = 0; row < os::name_lookup::most; ++row) {
    for (std::size_t k = 0; k < entries.size(); ++k) {
      if (entries[k].name.empty()) {
        if (row == 0) all.push_back(entries[k].at);
        continue;
      }
      const auto resolved =
          std::find_if(names_.begin(), names_.end(), [&](const name& n) { return n.peer == peer && n.entry == k; });
      if (row < resolved->found.size()) all.push_back(resolved->found[row]);
    }
  }
  return core::candidates(all);
}

std::string resolver::text_of(const name& n) const {
  return "peer " + peers_[n.peer].name + ": " + peers_[n.peer].endpoints[n.entry].name;
}

}  // namespace lanloom::app
