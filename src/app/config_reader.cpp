// SPDX-License-Identifier: Apache-2.0
// The only source that includes toml++: it takes longer to compile than the rest of app together.
#include "config_reader.hpp"

#include "config_keys.hpp"
#include "config_values.hpp"
#include "toml_text.hpp"

// toml++ 3.3 asserts that a table's name begins like a name ("[=x]"), and with NDEBUG assumes it. Here a failed
// assertion of the parser is a wrong file.
#undef NDEBUG
#include <cassert>

namespace {
struct parser_gave_up {};
constexpr void require_of_parser(bool condition) {
  if (!condition) throw parser_gave_up{};
}
}  // namespace
#define TOML_ASSERT(expression) require_of_parser(static_cast<bool>(expression))
// Bounds the parser's recursion; our own format nests three deep.
#define TOML_MAX_NESTED_VALUES 16
#include <toml++/toml.h>

#include <algorithm>
#include <utility>

namespace lanloom::app {

namespace {

constexpr std::size_t most_addresses = 64;  // of one interface
constexpr std::size_t most_uplinks = 16;
constexpr std::size_t most_nat_entries = 256;  // of one list
constexpr std::size_t most_tables = 1024;      // [[netns]], [[peer]]
constexpr std::size_t most_endpoints = 4;      // of one peer

position place(const toml::source_region& r) noexcept {
  return {static_cast<std::uint32_t>(r.begin.line), static_cast<std::uint32_t>(r.begin.column)};
}

std::string_view type_name(const toml::node& n) noexcept {
  switch (n.type()) {
    case toml::node_type::none:
      return "nothing";
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time";
    case toml::node_type::date_time:
      return "a date and time";
  }
  return "nothing";
}

std::string text_of(std::string_view s) { return std::string(s); }

// Key files are named relative to the configuration file's directory.
auto key_path_in(std::filesystem::path directory) {
  return [directory = std::move(directory)](std::string_view text, std::string& why) {
    auto path = parse_key_path(text, why);
    if (path) *path = directory / *path;
    return path;
  };
}

// One table of the file: what may stand in it, and typed access to what does.
class table_reader {
 public:
  // `schema` names the table in config_keys, `path` this one in the source_map.
  table_reader(const toml::table& table, std::string_view schema, std::string path, source_map& where,
               problem_list& problems)
      : table_(table), schema_(schema), path_(std::move(path)), where_(where), problems_(problems) {
    where_.set(path_, place(table_.source()));
    for (const auto& [key, node] : table_) {
      const auto* known = find_key(schema_, key.str());
      if (!known) {
        unknown(key);
      } else if (known->form.empty()) {
        problems_.add(place(key.source()), in_quotes(key.str()) + " is not built in this version yet; remove it");
      } else {
        where_.set(at(key.str()), place(node.source()));
      }
    }
  }

  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }

  // False, with a problem, if the table does not have the key.
  bool require(std::string_view key) {
    if (has(key)) return true;
    problems_.add_unread(at(key), place(table_.source()),
                         in_quotes(key) + " is missing here; add it: " + text_of(form(key)));
    return false;
  }

  template <class T, class Parse>
  void text(std::string_view key, T& out, Parse parse) {
    if (const auto* node = table_.get(key)) {
      if (auto value = parsed(key, at(key), *node, parse)) out = std::move(*value);
    }
  }

  template <class T>
  void integer(std::string_view key, T& out, std::int64_t least, std::int64_t most) {
    const auto* node = table_.get(key);
    if (!node) return;
    const auto* value = node->as_integer();
    if (!value) {
      wrong_type(key, at(key), *node);
    } else if (value->get() < least || value->get() > most) {
      refuse(key, at(key), *node, std::to_string(value->get()), {});
    } else {
      out = T(value->get());
    }
  }

  void boolean(std::string_view key, bool& out) {
    const auto* node = table_.get(key);
    if (!node) return;
    if (const auto* value = node->as_boolean()) {
      out = value->get();
    } else {
      wrong_type(key, at(key), *node);
    }
  }

  // A list of strings; one string alone where `single` allows it.
  template <class T, class Parse>
  void list(std::string_view key, std::vector<T>& out, std::size_t most, bool single, Parse parse) {
    const auto* node = table_.get(key);
    if (!node) return;
    const auto push = [&](const toml::node& element) {
      const auto path = at(key) + "[" + std::to_string(out.size()) + "]";
      if (auto value = parsed(key, path, element, parse)) {
        where_.set(path, place(element.source()));
        out.push_back(std::move(*value));
      }
    };
    const auto* elements = node->as_array();
    if (!elements) {
      if (single) {
        push(*node);
      } else {
        wrong_type(key, at(key), *node);
      }
      return;
    }
    if (too_long(key, *elements, most)) return;
    for (const auto& element : *elements) push(element);
  }

  // A list of tables, each read by read(table_reader&, element).
  template <class T, class Read>
  void tables(std::string_view key, std::vector<T>& out, std::size_t most, Read read) {
    const auto* node = table_.get(key);
    if (!node) return;
    const auto* elements = node->as_array();
    if (!elements) {
      wrong_type(key, at(key), *node);
      return;
    }
    if (too_long(key, *elements, most)) return;
    for (const auto& element : *elements) {
      const auto path = at(key) + "[" + std::to_string(out.size()) + "]";
      if (const auto* table = element.as_table()) {
        table_reader reader(*table, schema_ + "." + text_of(key), path, where_, problems_);
        read(reader, out.emplace_back());
      } else {
        wrong_type(key, path, element);
      }
    }
  }

  // A problem of its own for a value whose text the version does not understand yet.
  bool refuse_text(std::string_view key, std::string_view text, std::string_view message) {
    const auto* node = table_.get(key);
    const auto* value = node ? node->as_string() : nullptr;
    if (!value || value->get() != text) return false;
    problems_.add_unread(at(key), place(node->source()), text_of(message));
    return true;
  }

 private:
  [[nodiscard]] std::string at(std::string_view key) const { return path_ + "." + text_of(key); }
  [[nodiscard]] std::string_view form(std::string_view key) const {
    const auto* known = find_key(schema_, key);
    assert(known);
    return known->form;
  }

  void unknown(const toml::key& key) {
    std::vector<std::string_view> names;
    std::string_view elsewhere;
    for (const auto& k : config_keys) {
      if (k.table == schema_) names.push_back(k.name);
      if (k.name == key.str() && elsewhere.empty()) elsewhere = k.table;
    }
    std::string message = in_quotes(key.str()) + " is no key of [" + schema_ + "]";
    if (const auto meant = nearest(key.str(), names); !meant.empty()) {
      message += "; did you mean " + in_quotes(meant) + "?";
    } else if (!elsewhere.empty()) {
      message += "; it belongs to [" + text_of(elsewhere) + "]: move it there";
    } else {
      message += "; remove it";
    }
    problems_.add(place(key.source()), std::move(message));
  }

  void wrong_type(std::string_view key, const std::string& path, const toml::node& node) {
    problems_.add_unread(path, place(node.source()),
                         in_quotes(key) + " is " + text_of(type_name(node)) + "; write " + text_of(form(key)));
  }

  void refuse(std::string_view key, const std::string& path, const toml::node& node, std::string_view value,
              const std::string& why) {
    std::string message = in_quotes(key) + " cannot be ";
    // What stands at a key's place may be the wrong, secret key: it is not repeated.
    message += key.ends_with("_key") || key.ends_with("_secret") ? "this text" : in_quotes(value);
    if (!why.empty()) message += ": " + why;
    problems_.add_unread(path, place(node.source()), message + "; write " + text_of(form(key)));
  }

  template <class Parse>
  auto parsed(std::string_view key, const std::string& path, const toml::node& node, Parse parse)
      -> decltype(parse(std::string_view{}, std::declval<std::string&>())) {
    const auto* value = node.as_string();
    if (!value) {
      wrong_type(key, path, node);
      return std::nullopt;
    }
    std::string why;
    auto result = parse(value->get(), why);
    if (!result) refuse(key, path, node, value->get(), why);
    return result;
  }

  bool too_long(std::string_view key, const toml::array& elements, std::size_t most) {
    if (elements.size() <= most) return false;
    problems_.add_unread(
        at(key), place(elements.source()),
        in_quotes(key) + " has " + std::to_string(elements.size()) + " entries; keep at most " + std::to_string(most));
    return true;
  }

  const toml::table& table_;
  std::string schema_;
  std::string path_;
  source_map& where_;
  problem_list& problems_;
};

class file_reader {
 public:
  file_reader(const toml::table& root, config& into, problem_list& problems)
      : root_(root), c_(into), problems_(problems) {}

  void read() {
    check_tables();
    once("node", [this](table_reader& t) { node(t); });
    if (!root_.contains("node")) {
      problems_.add_unread("node.private_key", {},
                           "[node] is missing; add it with `private_key`: " + text_of(forms::key_file));
    }
    once("tap", [this](table_reader& t) { tap(t); });
    once("bridge", [this](table_reader& t) {
      t.text("name", c_.bridge.name, parse_interface_name);
      t.boolean("create", c_.bridge.create);
      t.text("kind", c_.bridge.kind, parse_bridge_kind);
      t.list("addresses", c_.bridge.addresses, most_addresses, false, parse_interface_address);
      t.list("uplinks", c_.bridge.uplinks, most_uplinks, false, parse_interface_name);
      c_.bridge.stp = !c_.bridge.uplinks.empty();
      t.boolean("stp", c_.bridge.stp);
    });
    each("netns", c_.netns, [this](table_reader& t, netns_config& n) { netns(t, n); });
    once("forwarding", [this](table_reader& t) {
      t.boolean("ipv4", c_.forwarding.ipv4);
      t.boolean("ipv6", c_.forwarding.ipv6);
      t.text("firewall", c_.forwarding.firewall, parse_firewall);
    });
    once("nat", [this](table_reader& t) { nat(t); });
    each("peer", c_.peers, [this](table_reader& t, peer_config& p) { peer(t, p); });
    once("offload", [this](table_reader& t) {
      t.text("tap_gso", c_.offload.tap_gso, parse_offload);
      t.text("tap_uso", c_.offload.tap_uso, parse_offload);
      t.text("udp_gso", c_.offload.udp_gso, parse_offload);
      t.text("udp_gro", c_.offload.udp_gro, parse_offload);
      t.text("accelerator", c_.offload.accelerator, parse_offload);
    });
    once("log", [this](table_reader& t) { t.text("level", c_.log, parse_level); });
    once("control", [this](table_reader& t) { t.text("group", c_.control_group, parse_group); });
  }

 private:
  void node(table_reader& t) {
    t.text("name", c_.node.name, parse_name);
    if (t.require("private_key")) t.text("private_key", c_.node.private_key, key_path_in(c_.file.parent_path()));
    t.text("listen", c_.node.listen, parse_listen);
    t.text("network", c_.node.network, parse_name);
    t.text("network_secret", c_.node.network_secret, key_path_in(c_.file.parent_path()));
    t.text("cipher", c_.node.cipher, parse_cipher);
    t.text("state", c_.node.state, parse_directory);
  }

  void tap(table_reader& t) {
    t.text("name", c_.tap.name, parse_interface_name);
    if (t.refuse_text(
            "mtu", "path",
            "`mtu` = \"path\" is not built in this version yet; write an integer from 1280 to 9216, or remove it")) {
      return;
    }
    std::uint16_t mtu = 0;
    t.integer("mtu", mtu, 1280, 9216);
    if (mtu != 0) c_.tap.mtu = mtu;
  }

  void netns(table_reader& t, netns_config& n) {
    if (t.require("name")) t.text("name", n.name, parse_name);
    t.boolean("create", n.create);
    n.interface = "eth0";
    t.text("interface", n.interface, parse_interface_name);
    t.text("host_interface", n.host_interface, parse_interface_name);
    t.list("addresses", n.addresses, most_addresses, false, parse_interface_address);
    t.list("gateway", n.gateways, 2, true, parse_host_address);
  }

  void nat(table_reader& t) {
    t.list("masquerade", c_.nat.masquerade, most_nat_entries, false, parse_subnet);
    t.tables("snat", c_.nat.snat, most_nat_entries, [](table_reader& e, source_nat& s) {
      if (e.require("source")) e.text("source", s.source, parse_subnet);
      if (e.require("to")) e.text("to", s.to, parse_host_address);
    });
    t.tables("forward", c_.nat.forward, most_nat_entries, [](table_reader& e, port_forward& f) {
      if (e.require("protocol")) e.text("protocol", f.protocol, parse_protocol);
      if (e.require("port")) e.integer("port", f.port, 1, 65535);
      socket_address to;
      if (e.require("to")) e.text("to", to, parse_forward_target);
      f.to = to.address;
      f.to_port = to.port;
      e.text("address", f.address, parse_host_address);
    });
  }

  void peer(table_reader& t, peer_config& p) {
    if (t.require("name")) t.text("name", p.name, parse_name);
    if (t.require("public_key")) t.text("public_key", p.public_key, parse_public_key);
    t.list("endpoint", p.endpoints, most_endpoints, true, parse_peer_endpoint);
    t.text("preshared_key", p.preshared_key, key_path_in(c_.file.parent_path()));
    t.integer("keepalive", p.keepalive, 0, 3600);
  }

  void check_tables() {
    for (const auto& [key, node] : root_) {
      const auto* known = find_table(key.str());
      const auto at = place(key.source());
      if (!known) {
        unknown(key, node);
      } else if (known->repeated && !is_list_of_tables(node)) {
        problems_.add_unread(text_of(known->name), at,
                             in_quotes(known->name) + " is a list of tables; write [[" + text_of(known->name) + "]]");
      } else if (!known->repeated && !node.is_table()) {
        problems_.add_unread(text_of(known->name), at,
                             in_quotes(known->name) + " is one table; write [" + text_of(known->name) + "] once");
      }
    }
  }

  [[nodiscard]] static bool is_list_of_tables(const toml::node& node) {
    const auto* elements = node.as_array();
    return elements && (elements->empty() || elements->is_homogeneous<toml::table>());
  }

  void unknown(const toml::key& key, const toml::node& node) {
    std::vector<std::string_view> names;
    std::string_view table;
    for (const auto& t : config_tables) names.push_back(t.name);
    for (const auto& k : config_keys) {
      if (k.name == key.str() && table.empty()) table = k.table;
    }
    const bool is_table = node.is_table() || is_list_of_tables(node);
    std::string message = is_table ? "there is no table [" + text_of(key.str().substr(0, 64)) + "]"
                                   : in_quotes(key.str()) + " stands in no table";
    if (const auto meant = nearest(key.str(), names); is_table && !meant.empty()) {
      message += "; did you mean " + in_quotes(meant) + "?";
    } else if (!is_table && !table.empty()) {
      message += "; move it below [" + text_of(table) + "]";
    } else {
      message += "; remove it";
    }
    problems_.add(place(key.source()), std::move(message));
  }

  template <class Read>
  void once(std::string_view name, Read read) {
    if (const auto* table = root_.get_as<toml::table>(name)) {
      table_reader reader(*table, name, text_of(name), c_.where, problems_);
      read(reader);
    }
  }

  template <class T, class Read>
  void each(std::string_view name, std::vector<T>& out, Read read) {
    const auto* elements = root_.get_as<toml::array>(name);
    if (!elements || !is_list_of_tables(*elements)) return;
    if (elements->size() > most_tables) {
      problems_.add_unread(text_of(name), place(elements->source()),
                           "there are " + std::to_string(elements->size()) + " [[" + text_of(name) +
                               "]]; keep at most " + std::to_string(most_tables));
      return;
    }
    for (const auto& element : *elements) {
      table_reader reader(*element.as_table(), name, text_of(name) + "[" + std::to_string(out.size()) + "]", c_.where,
                          problems_);
      read(reader, out.emplace_back());
    }
  }

  const toml::table& root_;
  config& c_;
  problem_list& problems_;
};

bool gives_up(std::string_view text) {
  try {
    (void)toml::parse(text);
  } catch (const toml::parse_error&) {
  } catch (const parser_gave_up&) {
    return true;
  }
  return false;
}

// The parser says no place when it gives up on `text`. It reads in order: the line is the first that ends a piece of
// the text, from the start, on which it gives up too.
std::uint32_t line_of_giving_up(std::string_view text) {
  std::vector<std::size_t> ends;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') ends.push_back(i + 1);
  }
  const auto at = std::partition_point(ends.begin(), ends.end(),
                                       [text](std::size_t end) { return !gives_up(text.substr(0, end)); });
  return static_cast<std::uint32_t>(at - ends.begin()) + 1;
}

// What the parser says, with the cure.
std::string plain_words(std::string_view description) {
  const auto says = [description](std::string_view words) { return description.find(words) != std::string_view::npos; };
  std::string text;
  for (const char c : description) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  for (const auto* unquoted : {"could not determine value type", "parsing time", "parsing floating-point"}) {
    if (says(unquoted)) return text + "; put text in quotes (true and false without)";
  }
  if (says("redefine")) return text + ": it is here twice; keep one";
  return text + "; correct it and check again";
}

}  // namespace

void read_config(std::string_view text, config& into, problem_list& problems) {
  if (auto refused = refuse_text(text)) {
    problems.add(refused->at, std::move(refused->message));
    return;
  }
  try {
    const toml::table root = toml::parse(text);
    file_reader(root, into, problems).read();
  } catch (const toml::parse_error& e) {
    problems.add(place(e.source()), "this is not TOML: " + plain_words(e.description()));
  } catch (const parser_gave_up&) {
    problems.add({line_of_giving_up(text), 1}, "this line is not TOML; correct it and check again");
  }
}

}  // namespace lanloom::app
