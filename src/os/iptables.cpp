// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/iptables.hpp>
#include <lanloom/os/program.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <algorithm>
#include <initializer_list>
#include <optional>

namespace lanloom::os {

namespace {
constexpr int absent = 1;       // status: no such chain or rule
constexpr int most_equal = 16;  // rules of one kind deleted in one call

const char* program_of(ip_family family) noexcept { return family == ip_family::v6 ? "ip6tables" : "iptables"; }

program_result run(ip_family family, std::initializer_list<std::string> words,
                   const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{"-w", "5"};
  arguments.insert(arguments.end(), words);
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_program(program_of(family), arguments);
}

[[noreturn]] void throw_refused(ip_family family, const program_result& said) {
  throw iptables_refused(std::string(program_of(family)) + ": " +
                         (said.errors.empty() ? "it failed without a word" : said.errors));
}

// What begins with '-' would be an option, and a mark is found again only as it was written.
void check(const char* what, std::string_view text, std::size_t longest) {
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  if (!text.empty() && text.size() <= longest && text.front() != '-' && text.front() != '!' &&
      std::all_of(text.begin(), text.end(), printable)) {
    return;
  }
  throw_errno(std::string(what) + " \"" + std::string(text) + "\"", EINVAL);
}

void check_chain(std::string_view chain) { check("iptables chain", chain, 28); }
void check_mark(std::string_view mark) { check("iptables mark", mark, 255); }

// Chain, mark, the rest: the same order everywhere, because -C and -D compare in order.
std::vector<std::string> words_of(const iptables_rule& rule) {
  check_chain(rule.chain);
  check_mark(rule.mark);
  std::vector<std::string> words{rule.chain, "-m", "comment", "--comment", rule.mark};
  words.insert(words.end(), rule.words.begin(), rule.words.end());
  return words;
}

// A line of -S as the words it was made of: separated by blanks; "..." with \ before " and \ .
std::vector<std::string> split(std::string_view line) {
  std::vector<std::string> words;
  bool quoted = false;
  bool begun = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (c == ' ' && !quoted) {
      begun = false;
      continue;
    }
    if (!begun) words.emplace_back();
    begun = true;
    if (c == '"') {
      quoted = !quoted;
      continue;
    }
    if (c == '\\' && quoted && i + 1 < line.size()) c = line[++i];
    words.back().push_back(c);
  }
  return words;
}

std::optional<iptables_rule> marked_rule_in(std::string_view line, std::string_view mark) {
  auto words = split(line);
  if (words.size() < 2 || words[0] != "-A") return std::nullopt;
  const std::vector<std::string> comment{"-m", "comment", "--comment", std::string(mark)};
  const auto at = std::search(words.begin() + 2, words.end(), comment.begin(), comment.end());
  if (at == words.end()) return std::nullopt;
  words.erase(at, at + static_cast<std::ptrdiff_t>(comment.size()));
  return iptables_rule{words[1], {words.begin() + 2, words.end()}, std::string(mark)};
}
}  // namespace

bool iptables_present(ip_family family) { return find_program(program_of(family)).has_value(); }

// "iptables v1.8.9 (nf_tables)", "(legacy)"; before 1.8 there was but one kind.
bool iptables_is_older(ip_family family) {
  return run_program(program_of(family), std::vector<std::string>{"--version"}).output.find("nf_tables") ==
         std::string::npos;
}

bool iptables_forward_drops(ip_family family) {
  const auto said = run(family, {"-S", "FORWARD"});
  if (said.status != 0) throw_refused(family, said);
  return ("\n" + said.output).find("\n-P FORWARD DROP\n") != std::string::npos;
}

bool iptables_chain_exists(ip_family family, std::string_view chain) {
  check_chain(chain);
  const auto said = run(family, {"-S", std::string(chain)});
  if (said.status != 0 && said.status != absent) throw_refused(family, said);
  return said.status == 0;
}

bool iptables_rule_present(ip_family family, const iptables_rule& rule) {
  const auto said = run(family, {"-C"}, words_of(rule));
  if (said.status != 0 && said.status != absent) throw_refused(family, said);
  return said.status == 0;
}

void iptables_insert(ip_family family, const iptables_rule& rule) {
  if (iptables_rule_present(family, rule)) return;
  const auto said = run(family, {"-I"}, words_of(rule));
  if (said.status != 0) throw_refused(family, said);
}

void iptables_delete(ip_family family, const iptables_rule& rule) {
  for (int turn = 0; turn < most_equal; ++turn) {
    const auto said = run(family, {"-D"}, words_of(rule));
    if (said.status == absent) return;
    if (said.status != 0) throw_refused(family, said);
  }
}

std::vector<iptables_rule> iptables_marked(ip_family family, std::string_view mark) {
  check_mark(mark);
  const auto said = run(family, {"-S"});
  if (said.status != 0) throw_refused(family, said);
  std::vector<iptables_rule> found;
  for (std::string_view rest = said.output; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (auto rule = marked_rule_in(line, mark)) found.push_back(std::move(*rule));
  }
  return found;
}

std::size_t iptables_delete_marked(ip_family family, std::string_view mark) {
  const auto found = iptables_marked(family, mark);
  for (const auto& rule : found) iptables_delete(family, rule);
  return found.size();
}

}  // namespace lanloom::os
