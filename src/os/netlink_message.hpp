// SPDX-License-Identifier: Apache-2.0
// netlink_message.hpp - composing one netlink request, and reading the kernel's messages.
//
// 1. A request has a constant size; what does not fit is EMSGSIZE.
// 2. Reading never passes the end of the message: a short value reads as zero, a short attribute ends the list.
// Private to os.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/base/ip_prefix.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace lanloom::os {

class netlink_message {
 public:
  netlink_message(std::uint16_t type, int flags) : header_(mnl_nlmsg_put_header(bytes_.data())) {
    header_->nlmsg_type = type;
    header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  }
  netlink_message(const netlink_message&) = delete;
  netlink_message& operator=(const netlink_message&) = delete;

  [[nodiscard]] nlmsghdr& header() noexcept { return *header_; }

  // A family's fixed structure, zeroed: at the start of the message, or inside an attribute that begins with one.
  template <class Fixed>
  Fixed& append() {
    if (header_->nlmsg_len + MNL_ALIGN(sizeof(Fixed)) > bytes_.size()) throw_errno("netlink request", EMSGSIZE);
    return *static_cast<Fixed*>(mnl_nlmsg_put_extra_header(header_, sizeof(Fixed)));
  }
  void put(std::uint16_t type, bytes_view value) {
    if (!mnl_attr_put_check(header_, bytes_.size(), type, value.size(), value.data())) {
      throw_errno("netlink request", EMSGSIZE);
    }
  }
  void put_text(std::uint16_t type, std::string_view text) { put(type, as_bytes(text)); }
  template <class Integer>
  void put_integer(std::uint16_t type, Integer value) {
    std::array<std::uint8_t, sizeof value> host_order;
    std::memcpy(host_order.data(), &value, sizeof value);
    put(type, host_order);
  }
  template <class Fill>
  void nest(std::uint16_t type, Fill fill) {
    auto* start = mnl_attr_nest_start_check(header_, bytes_.size(), type);
    if (start == nullptr) throw_errno("netlink request", EMSGSIZE);
    fill();
    mnl_attr_nest_end(header_, start);
  }

 private:
  alignas(nlmsghdr) std::array<std::uint8_t, 2048> bytes_{};
  nlmsghdr* header_;
};

[[nodiscard]] inline bytes_view payload_of(const nlmsghdr& m) noexcept {
  return {static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(&m)), mnl_nlmsg_get_payload_len(&m)};
}

template <class Fixed>
[[nodiscard]] Fixed payload_header(const nlmsghdr& m) noexcept {
  Fixed fixed{};
  const auto payload = payload_of(m);
  if (payload.size() >= sizeof fixed) std::memcpy(&fixed, payload.data(), sizeof fixed);
  return fixed;
}

template <class Fixed>
[[nodiscard]] bytes_view attributes_after(const nlmsghdr& m) noexcept {
  const auto payload = payload_of(m);
  return payload.size() < MNL_ALIGN(sizeof(Fixed)) ? bytes_view{} : payload.subspan(MNL_ALIGN(sizeof(Fixed)));
}

// on_attribute(int type, bytes_view value) for each.
template <class OnAttribute>
void each_attribute(bytes_view attributes, OnAttribute on_attribute) {
  nlattr a{};
  while (attributes.size() >= sizeof a) {
    std::memcpy(&a, attributes.data(), sizeof a);
    if (a.nla_len < sizeof a || a.nla_len > attributes.size()) return;
    on_attribute(a.nla_type & NLA_TYPE_MASK, attributes.subspan(sizeof a, a.nla_len - sizeof a));
    attributes = attributes.subspan(std::min<std::size_t>(MNL_ALIGN(a.nla_len), attributes.size()));
  }
}

// Its value; empty when there is none.
[[nodiscard]] inline bytes_view find_attribute(bytes_view attributes, int wanted) {
  bytes_view found;
  each_attribute(attributes, [&](int type, bytes_view value) {
    if (type == wanted) found = value;
  });
  return found;
}

template <class Integer>
[[nodiscard]] Integer integer_in(bytes_view value) noexcept {
  Integer i{};
  if (value.size() >= sizeof i) std::memcpy(&i, value.data(), sizeof i);
  return i;
}

[[nodiscard]] inline std::string text_in(bytes_view value) {
  const std::string text(value.begin(), value.end());
  return text.substr(0, text.find('\0'));
}

[[nodiscard]] inline std::uint8_t family_of(const ip_address& a) noexcept { return a.v6 ? AF_INET6 : AF_INET; }

[[nodiscard]] inline bytes_view bytes_of(const ip_address& a) noexcept {
  return bytes_view(a.bytes).first(a.bits() / 8U);
}

// Nothing when `value` is not an address of that family.
[[nodiscard]] inline std::optional<ip_address> address_in(bytes_view value, std::uint8_t family) noexcept {
  ip_address a;
  a.v6 = family == AF_INET6;
  if ((family != AF_INET && family != AF_INET6) || value.size() != a.bits() / 8U) return std::nullopt;
  std::copy(value.begin(), value.end(), a.bytes.begin());
  return a;
}

// Of NLMSG_ERROR or NLMSG_DONE, positive; 0 is success. Both begin with it.
[[nodiscard]] inline int error_in(const nlmsghdr& m) noexcept { return -integer_in<int>(payload_of(m)); }

// The kernel's own words on an error, or nothing.
[[nodiscard]] inline std::string explanation_in(const nlmsghdr& m) {
  if ((m.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  std::size_t before = sizeof(int);
  if (m.nlmsg_type == NLMSG_ERROR) {
    const auto refusal = payload_header<nlmsgerr>(m);
    before = sizeof refusal;
    // Without NLM_F_CAPPED our whole request stands in between.
    if ((m.nlmsg_flags & NLM_F_CAPPED) == 0 && refusal.msg.nlmsg_len > sizeof refusal.msg) {
      before += MNL_ALIGN(refusal.msg.nlmsg_len) - sizeof refusal.msg;
    }
  }
  const auto payload = payload_of(m);
  return before > payload.size() ? std::string() : text_in(find_attribute(payload.subspan(before), NLMSGERR_ATTR_MSG));
}

// "create bridge br-lan: Invalid argument: Device name too long"
[[noreturn]] inline void throw_refused(const std::string& context, int error, const std::string& explanation) {
  class explained : public std::system_error {
   public:
    explained(const std::string& tried, int code, const std::string& why)
        : std::system_error(code, std::system_category(), tried), text_(std::system_error::what()) {
      text_ += ": " + why;
    }
    [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }

   private:
    std::string text_;
  };
  if (explanation.empty()) throw_errno(context, error);
  throw explained(context, error, explanation);
}

}  // namespace lanloom::os
