// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/nft.hpp>
#include <lanloom/os/program.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

namespace lanloom::os {

namespace {
void check_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto allowed = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
  if (name.empty() || name.size() > 64 || !letter(name.front()) || !std::all_of(name.begin(), name.end(), allowed)) {
    throw_errno("nft table \"" + std::string(name) + "\"", EINVAL);
  }
}

// Its stdout.
std::string run_nft(const std::vector<std::string>& arguments, std::string_view input = {}) {
  if (!nft_present()) throw_errno("nft: not found; install the package nftables", ENOENT);
  auto said = run_program("nft", arguments, input);
  if (said.status == 0) return std::move(said.output);
  throw nft_refused("nft: " + (said.errors.empty() ? std::string("it failed without a word") : said.errors));
}
}  // namespace

bool nft_present() { return find_program("nft").has_value(); }

void nft_apply(std::string_view ruleset) { run_nft({"-f", "-"}, ruleset); }

bool nft_table_exists(std::string_view name) {
  check_name(name);
  const auto context = "ask for nft table " + std::string(name);
  const std::unique_ptr<mnl_socket, int (*)(mnl_socket*)> socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC),
                                                                 &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) throw_errno(context);

  alignas(nlmsghdr) std::array<char, 8192> bytes{};
  auto* asked = mnl_nlmsg_put_header(bytes.data());
  asked->nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETTABLE;
  asked->nlmsg_flags = NLM_F_REQUEST;
  auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(asked, sizeof(nfgenmsg)));
  family->nfgen_family = NFPROTO_INET;
  family->version = NFNETLINK_V0;
  mnl_attr_put_strz(asked, NFTA_TABLE_NAME, std::string(name).c_str());
  if (mnl_socket_sendto(socket.get(), asked, asked->nlmsg_len) < 0) throw_errno(context);

  ssize_t size = -1;
  while ((size = mnl_socket_recvfrom(socket.get(), bytes.data(), bytes.size())) < 0) {
    if (errno != EINTR) throw_errno(context);
  }
  const auto* answer = reinterpret_cast<const nlmsghdr*>(bytes.data());
  if (!mnl_nlmsg_ok(answer, static_cast<int>(size))) throw_errno(context, EBADMSG);
  if (answer->nlmsg_type != NLMSG_ERROR) return true;
  const auto* refusal = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(answer));
  if (mnl_nlmsg_get_payload_len(answer) < sizeof *refusal) throw_errno(context, EBADMSG);
  // EINVAL, EOPNOTSUPP: a kernel without nf_tables has no table either.
  if (refusal->error == -ENOENT || refusal->error == -EINVAL || refusal->error == -EOPNOTSUPP) return false;
  throw_errno(context, -refusal->error);
}

std::string nft_list_table(std::string_view name) {
  if (!nft_table_exists(name)) return {};
  try {
    return run_nft({"-s", "list", "table", "inet", std::string(name)});
  } catch (const nft_refused&) {
    if (!nft_table_exists(name)) return {};  // it went away meanwhile
    throw;
  }
}

void nft_delete_table(std::string_view name) {
  if (!nft_table_exists(name)) return;
  // Declared first, so that a table that went away meanwhile is no error.
  const auto table = "table inet " + std::string(name);
  nft_apply(table + " {}\ndelete " + table + "\n");
}

}  // namespace lanloom::os
