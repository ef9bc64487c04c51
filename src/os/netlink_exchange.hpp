// SPDX-License-Identifier: Apache-2.0
// netlink_exchange.hpp - how class netlink talks to the kernel: one question, and all parts of its answer.
//
// 1. A dump that was disturbed by a change is asked for again, at most ten times.
// 2. What is left of an answer that was given up is passed over.
// Private to os/netlink*.cpp.
#pragma once

#include <lanloom/os/netlink.hpp>

#include "netlink_message.hpp"

#include <algorithm>
#include <initializer_list>

namespace lanloom::os {

[[nodiscard]] inline bool one_of(int error, std::initializer_list<int> expected) noexcept {
  return std::find(expected.begin(), expected.end(), error) != expected.end();
}

struct netlink::outcome {
  int error = 0;
  std::string explanation;
  bool interrupted = false;  // what was dumped changed meanwhile
};

template <class OnMessage>
netlink::outcome netlink::exchange(netlink_message& asked, OnMessage on_message) {
  auto& header = asked.header();
  header.nlmsg_seq = ++sequence_;
  outcome result;
  if (mnl_socket_sendto(socket_.get(), &header, header.nlmsg_len) < 0) return {errno, {}, false};
  for (;;) {
    const auto size = mnl_socket_recvfrom(socket_.get(), received_.data(), received_.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return {errno, {}, false};
    int left = static_cast<int>(size);
    for (auto* m = reinterpret_cast<nlmsghdr*>(received_.data()); mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
      if (m->nlmsg_seq != sequence_) continue;  // the rest of an answer that was given up
      if ((m->nlmsg_flags & NLM_F_DUMP_INTR) != 0) result.interrupted = true;
      if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) {
        result.error = error_in(*m);
        result.explanation = explanation_in(*m);
        return result;
      }
      on_message(*m);
    }
  }
}

template <class Value, class Parse>
std::vector<Value> netlink::dump(netlink_message& asked, const char* context, Parse parse) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    std::vector<Value> values;
    const auto result = exchange(asked, [&](const nlmsghdr& m) {
      if (auto value = parse(m)) values.push_back(std::move(*value));
    });
    if (result.error != 0) throw_refused(context, result.error, result.explanation);
    if (!result.interrupted) return values;
  }
  throw_errno(context, EAGAIN);
}

}  // namespace lanloom::os
