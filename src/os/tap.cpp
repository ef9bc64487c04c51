// SPDX-License-Identifier: Apache-2.0
#include "virtio.hpp"

#include <lanloom/os/tap.hpp>

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <array>
#include <cassert>
#include <cstring>

namespace lanloom::os {

namespace {

constexpr std::size_t small_frame = 256;  // is written faster as a copy

std::errc last_error() noexcept { return static_cast<std::errc>(errno); }

// False when the header asks for something that `offload` has no words for, or contradicts itself.
[[gnu::hot]] bool decode(const virtio::net_header& header, offload& out) noexcept {
  const auto type = static_cast<std::uint8_t>(header.gso_type & ~virtio::gso_ecn);
  out = {};
  switch (type) {
    case virtio::gso_none:
      out.gso = gso_kind::none;
      break;
    case virtio::gso_tcp4:
      out.gso = gso_kind::tcp4;
      break;
    case virtio::gso_tcp6:
      out.gso = gso_kind::tcp6;
      break;
    case virtio::gso_udp_l4:
      out.gso = gso_kind::udp;
      break;
    default:
      return false;
  }
  out.partial_checksum = (header.flags & virtio::flag_needs_checksum) != 0;
  out.ecn = (header.gso_type & virtio::gso_ecn) != 0;
  out.header_length = header.header_length;
  out.segment_size = header.gso_size;
  out.checksum_start = header.checksum_start;
  out.checksum_offset = header.checksum_offset;
  return out.gso == gso_kind::none || (out.partial_checksum && out.segment_size != 0);
}

[[gnu::hot]] virtio::net_header encode(const offload& meta) noexcept {
  return {
      .flags = meta.partial_checksum ? virtio::flag_needs_checksum : std::uint8_t{0},
      .gso_type = static_cast<std::uint8_t>(static_cast<std::uint8_t>(meta.gso) | (meta.ecn ? virtio::gso_ecn : 0)),
      .header_length = meta.header_length,
      .gso_size = meta.segment_size,
      .checksum_start = meta.checksum_start,
      .checksum_offset = meta.checksum_offset,
  };
}

}  // namespace

tap tap::open(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) throw_errno("create TAP " + name, EINVAL);
  unique_fd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) throw_errno("open /dev/net/tun");

  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  // IFF_TUN_EXCL is the top bit of a short.
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL);
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
    const int error = errno;
    const bool taken = error == EBUSY;
    throw_errno("create TAP " + name + (taken ? ": an interface of this name exists already" : ""), error);
  }
  int header_size = virtio::net_header_size;
  if (::ioctl(fd.get(), TUNSETVNETHDRSZ, &header_size) != 0) throw_errno("set header size of TAP " + name);
  if (::ioctl(fd.get(), TUNSETOFFLOAD, 0UL) != 0) throw_errno("set offloads of TAP " + name);
  return tap(std::move(fd));
}

unique_fd tap::duplicate() const {
  unique_fd copy(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy) throw_errno("duplicate TAP descriptor");
  return copy;
}

tap_offloads tap::set_offloads(const tap_offloads& wanted) noexcept {
  tap_offloads asked = wanted;
  if (!asked.checksum) asked = {};
  for (;;) {
    unsigned long mask = asked.checksum ? virtio::offload_checksum : 0;
    if (asked.tcp4) mask |= virtio::offload_tso4;
    if (asked.tcp6) mask |= virtio::offload_tso6;
    if (asked.tcp4 || asked.tcp6) mask |= virtio::offload_tso_ecn;
    if (asked.udp) mask |= virtio::offload_uso;
    if (::ioctl(fd_.get(), TUNSETOFFLOAD, mask) == 0 || mask == 0) return asked;
    if (asked.udp) {
      asked.udp = false;
    } else {
      asked = {};
    }
  }
}

[[gnu::hot]] std::errc tap::read(bytes_span room, super_frame& out) noexcept {
  virtio::net_header header{};
  assert(room.size() > frame_headroom + 1 && frame_headroom >= sizeof header);
  // The header ends where the frame begins, so that one piece of memory takes both: several cost the kernel time.
  const bytes_span whole = room.subspan(frame_headroom - sizeof header);
  ssize_t n = 0;
  do n = ::read(fd_.get(), whole.data(), whole.size());
  while (n < 0 && errno == EINTR);
  // EINVAL: a packet whose kind of segmentation tun.c has no name for. It is gone, the device is not.
  if (n < 0) return errno == EINVAL ? std::errc::protocol_error : last_error();
  const auto size = static_cast<std::size_t>(n);
  if (size < sizeof header) return std::errc::protocol_error;
  // The kernel cuts silently: that the last byte was taken is the only sign of it.
  if (size == whole.size()) return std::errc::message_size;
  std::memcpy(&header, whole.data(), sizeof header);
  if (!decode(header, out.meta)) return std::errc::protocol_error;
  out.bytes = whole.subspan(sizeof header, size - sizeof header);
  return {};
}

[[gnu::hot]] std::errc tap::write(const offload& meta, std::span<const bytes_view> slices) noexcept {
  if (slices.size() > max_slices) return std::errc::argument_list_too_long;
  virtio::net_header header = encode(meta);
  ssize_t n = 0;
  // One piece of memory, for the same reason.
  if (slices.size() == 1 && slices[0].size() <= small_frame) {
    std::array<std::uint8_t, sizeof header + small_frame> whole;
    std::memcpy(whole.data(), &header, sizeof header);
    std::memcpy(whole.data() + sizeof header, slices[0].data(), slices[0].size());
    do n = ::write(fd_.get(), whole.data(), sizeof header + slices[0].size());
    while (n < 0 && errno == EINTR);
    return n < 0 ? last_error() : std::errc{};
  }
  std::array<iovec, max_slices + 1> parts;
  parts[0] = {&header, sizeof header};
  // writev only reads, but iovec has no const.
  for (std::size_t i = 0; i < slices.size(); ++i)
    parts[i + 1] = {const_cast<std::uint8_t*>(slices[i].data()), slices[i].size()};
  do n = ::writev(fd_.get(), parts.data(), static_cast<int>(slices.size() + 1));
  while (n < 0 && errno == EINTR);
  return n < 0 ? last_error() : std::errc{};
}

}  // namespace lanloom::os
