// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/udp.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <string>

namespace lanloom::os {

namespace {

constexpr int buffer_size = 4 << 20;
// UDP_SEGMENT and UDP_GRO, which older <netinet/udp.h> lack.
constexpr int option_segment = 103;
constexpr int option_coalesce = 104;

std::errc last_error() noexcept { return static_cast<std::errc>(errno); }

struct socket_address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

[[gnu::hot]] socket_address to_socket_address(const endpoint& e, bool v6_socket) noexcept {
  socket_address out;
  if (v6_socket) {
    sockaddr_in6 a{};
    a.sin6_family = AF_INET6;
    a.sin6_port = htons(e.port);
    a.sin6_scope_id = e.scope;
    std::memcpy(&a.sin6_addr, e.address.data(), e.address.size());
    std::memcpy(&out.storage, &a, sizeof a);
    out.size = sizeof a;
  } else {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(e.port);
    std::memcpy(&a.sin_addr, e.address.data() + 12, 4);
    std::memcpy(&out.storage, &a, sizeof a);
    out.size = sizeof a;
  }
  return out;
}

[[gnu::hot]] endpoint to_endpoint(const sockaddr_storage& from) noexcept {
  if (from.ss_family == AF_INET) {
    sockaddr_in a;
    std::memcpy(&a, &from, sizeof a);
    std::array<std::uint8_t, 4> address;
    std::memcpy(address.data(), &a.sin_addr, address.size());
    return endpoint::v4(address, ntohs(a.sin_port));
  }
  sockaddr_in6 a;
  std::memcpy(&a, &from, sizeof a);
  endpoint e;
  std::memcpy(e.address.data(), &a.sin6_addr, e.address.size());
  e.port = ntohs(a.sin6_port);
  e.scope = a.sin6_scope_id;
  return e;
}

void set(int fd, int level, int option, int value, const std::string& context) {
  if (::setsockopt(fd, level, option, &value, sizeof value) != 0) throw_errno(context);
}

void enlarge(int fd, int forced_option, int option) noexcept {
  const int size = buffer_size;
  if (::setsockopt(fd, SOL_SOCKET, forced_option, &size, sizeof size) == 0) return;
  // Without CAP_NET_ADMIN the host's limit stands; a smaller buffer works.
  (void)::setsockopt(fd, SOL_SOCKET, option, &size, sizeof size);
}

// The options of every underlay socket, then bind. False when this address family does not exist on the host.
bool bind_socket(unique_fd& fd, const endpoint& listen, bool v6, const std::string& context) {
  fd.reset(::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
  if (!fd && errno == EAFNOSUPPORT) return false;
  if (!fd) throw_errno(context);
  if (v6) {
    set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, listen.is_unspecified() ? 0 : 1, context);
    set(fd.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE, context);
  }
  set(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, context);
  if (listen.is_unspecified()) {
    // To which of our addresses it came. Of an IPv6 socket this tells both families.
    v6 ? set(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, context) : set(fd.get(), IPPROTO_IP, IP_PKTINFO, 1, context);
  }
  enlarge(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF);
  enlarge(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF);
  const socket_address to = to_socket_address(listen, v6);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.size) == 0) return true;
  if (errno == EAFNOSUPPORT) return false;
  throw_errno(context);
}

constexpr std::size_t source_room = CMSG_SPACE(sizeof(in6_pktinfo));  // the longer of the two families'

// Room for one message's control data: the UDP_GRO segment size, and the address that it came to.
struct control_room {
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(int)) + source_room> bytes;
};

template <class Value>
Value value_of(cmsghdr* c) noexcept {
  Value value;
  std::memcpy(&value, CMSG_DATA(c), sizeof value);
  return value;
}

// What recvmsg filled in, as a train and in `from.own`. The kernel says the segment size only for more than one.
[[gnu::hot]] datagram_train to_train(msghdr& message, std::size_t size, endpoint& from) noexcept {
  datagram_train train{{static_cast<std::uint8_t*>(message.msg_iov->iov_base), size}, size};
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == option_coalesce) {
      const int segment = value_of<int>(c);
      if (segment > 0 && static_cast<std::size_t>(segment) < size) train.stride = static_cast<std::size_t>(segment);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      const auto to = value_of<in6_pktinfo>(c);
      std::memcpy(from.own.data(), &to.ipi6_addr, from.own.size());
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      std::array<std::uint8_t, 4> to;
      const auto info = value_of<in_pktinfo>(c);
      std::memcpy(to.data(), &info.ipi_addr, to.size());
      from.own = endpoint::v4(to, 0).address;
    }
  }
  return train;
}

// Control data of one call of sendmsg.
class sending_control {
 public:
  template <class Value>
  void add(int level, int type, const Value& value) noexcept {
    cmsghdr head{};
    head.cmsg_level = level;
    head.cmsg_type = type;
    head.cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(&bytes_[size_], &head, sizeof head);
    std::memcpy(&bytes_[size_ + CMSG_LEN(0)], &value, sizeof value);
    size_ += CMSG_SPACE(sizeof value);
  }
  void add_source(const endpoint& to, bool v6_socket) noexcept {
    if (v6_socket) {
      in6_pktinfo from{};
      std::memcpy(&from.ipi6_addr, to.own.data(), to.own.size());
      from.ipi6_ifindex = to.scope;
      add(IPPROTO_IPV6, IPV6_PKTINFO, from);
    } else {
      in_pktinfo from{};
      std::memcpy(&from.ipi_spec_dst, to.own.data() + 12, sizeof from.ipi_spec_dst);
      add(IPPROTO_IP, IP_PKTINFO, from);
    }
  }
  void put_into(msghdr& message) noexcept {
    message.msg_control = size_ == 0 ? nullptr : bytes_.data();
    message.msg_controllen = size_;
  }

 private:
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(std::uint16_t)) + source_room> bytes_{};
  std::size_t size_ = 0;
};

// As when the address of ours is gone, or has no way there any more.
bool may_mind_the_source(int error) noexcept {
  return error == EINVAL || error == ENETUNREACH || error == EHOSTUNREACH || error == EADDRNOTAVAIL;
}

}  // namespace

udp_socket udp_socket::open(const endpoint& listen) {
  const std::string context = "listen on " + to_string(listen);
  unique_fd fd;
  const bool v6 = !listen.is_v4();
  if (!bind_socket(fd, listen, v6, context)) {
    if (!v6 || !listen.is_unspecified()) throw_errno(context, EAFNOSUPPORT);
    if (!bind_socket(fd, endpoint::v4({}, listen.port), false, context)) throw_errno(context, EAFNOSUPPORT);
  }
  return udp_socket(std::move(fd));
}

udp_socket::udp_socket(unique_fd fd) : fd_(std::move(fd)) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) throw_errno("name of UDP socket");
  if (address.ss_family != AF_INET && address.ss_family != AF_INET6) throw_errno("UDP socket", EAFNOSUPPORT);
  v6_ = address.ss_family == AF_INET6;
  local_ = to_endpoint(address);
}

unique_fd udp_socket::duplicate() const {
  unique_fd copy(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy) throw_errno("duplicate UDP descriptor");
  return copy;
}

[[gnu::hot]] std::errc udp_socket::receive(bytes_span slot, endpoint& from, datagram_train& out) noexcept {
  sockaddr_storage source;
  control_room control;
  iovec part{slot.data(), slot.size()};
  msghdr message{};
  message.msg_name = &source;
  message.msg_namelen = sizeof source;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t n = 0;
  do n = ::recvmsg(fd_.get(), &message, 0);
  while (n < 0 && errno == EINTR);
  if (n < 0) return last_error();
  from = to_endpoint(source);
  out = to_train(message, static_cast<std::size_t>(n), from);
  return {};
}

bool udp_socket::set_coalescing(bool on) noexcept {
  const int value = on ? 1 : 0;
  return ::setsockopt(fd_.get(), IPPROTO_UDP, option_coalesce, &value, sizeof value) == 0;
}

[[gnu::hot]] sent udp_socket::send(const endpoint& to, bytes_view bytes, std::size_t stride, bool segmented) noexcept {
  assert(stride > 0);
  if (!v6_ && !to.is_v4()) return {0, std::errc::network_unreachable};
  socket_address target = to_socket_address(to, v6_);
  iovec part{};
  msghdr message{};
  message.msg_name = &target.storage;
  message.msg_namelen = target.size;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  bool from_own = to.own != decltype(to.own){};
  const std::size_t most = segmented ? std::clamp<std::size_t>(max_call_bytes / stride, 1, max_segments) : 1;
  sent done;
  do {
    const bytes_view now = bytes.first(std::min(most * stride, bytes.size()));
    const bool several = now.size() > stride;
    part = {const_cast<std::uint8_t*>(now.data()), now.size()};  // only read, but iovec has no const
    sending_control control;
    if (several) control.add(IPPROTO_UDP, option_segment, static_cast<std::uint16_t>(stride));
    if (from_own) control.add_source(to, v6_);
    control.put_into(message);
    ssize_t n = 0;
    // Of what is plain the kernel takes the plain call faster.
    const auto call = [&]() noexcept {
      return several || from_own ? ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL)
                                 : ::sendto(fd_.get(), part.iov_base, part.iov_len, MSG_NOSIGNAL,
                                            reinterpret_cast<const sockaddr*>(&target.storage), target.size);
    };
    do n = call();
    while (n < 0 && errno == EINTR);
    if (n < 0 && from_own && may_mind_the_source(errno)) {
      from_own = false;
      continue;
    }
    if (n < 0) {
      done.error = last_error();
      done.segmented = several;
      return done;
    }
    done.datagrams += std::max<std::size_t>((now.size() + stride - 1) / stride, 1);
    bytes = bytes.subspan(now.size());
  } while (!bytes.empty());
  return done;
}

struct receive_batch::storage {
  std::array<received, slots> results;  // in front, on the page where what came alone begins
  std::array<std::array<std::uint8_t, 65536>, slots> bytes;
  std::array<sockaddr_storage, slots> sources;
  std::array<control_room, slots> controls;
  std::array<iovec, slots> parts;
  std::array<mmsghdr, slots> messages;
};

receive_batch::receive_batch() : storage_(std::make_unique<storage>()) {
  for (std::size_t i = 0; i < slots; ++i) {
    storage_->parts[i] = {storage_->bytes[i].data(), storage_->bytes[i].size()};
    msghdr& message = storage_->messages[i].msg_hdr;
    message.msg_name = &storage_->sources[i];
    message.msg_iov = &storage_->parts[i];
    message.msg_iovlen = 1;
    message.msg_control = storage_->controls[i].bytes.data();
  }
}

receive_batch::~receive_batch() = default;

[[gnu::hot]] std::span<received> receive_batch::receive(udp_socket& socket, std::errc& error,
                                                        std::size_t most) noexcept {
  assert(most >= 1 && most <= slots);
  storage& s = *storage_;
  if (most == 1) {  // costs less with the simpler call
    error = socket.receive(s.bytes[0], s.results[0].from, s.results[0].train);
    return std::span(s.results).first(error == std::errc{} ? 1 : 0);
  }
  // The kernel overwrites the three fields that say how much it filled.
  for (mmsghdr& m : std::span(s.messages).first(most)) {
    m.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    m.msg_hdr.msg_controllen = sizeof(control_room);
    m.msg_hdr.msg_flags = 0;
  }
  int n = 0;
  do n = ::recvmmsg(socket.fd(), s.messages.data(), static_cast<unsigned>(most), MSG_DONTWAIT, nullptr);
  while (n < 0 && errno == EINTR);
  error = n < 0 ? last_error() : std::errc{};
  const auto count = static_cast<std::size_t>(std::max(n, 0));
  for (std::size_t i = 0; i < count; ++i) {
    s.results[i].from = to_endpoint(s.sources[i]);
    s.results[i].train = to_train(s.messages[i].msg_hdr, s.messages[i].msg_len, s.results[i].from);
  }
  return std::span(s.results).first(count);
}

}  // namespace lanloom::os
