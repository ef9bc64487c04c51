// SPDX-License-Identifier: Apache-2.0
// status.hpp - what `lanloom status` and `lanloom fdb` know, as JSON (made in the node) and as text (made by the
// command).
//
// The JSON is schema 1: keys are only ever added, and what is unknown is null.
#pragma once

#include <lanloom/app/node_channel.hpp>
#include <lanloom/core/node.hpp>

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace lanloom::app {

[[nodiscard]] nlohmann::ordered_json status_json(const node_setup& setup, const core::node& node, time_point started,
                                                 time_point now);
// As text: a table may have 65 536 entries.
[[nodiscard]] std::string fdb_json(const node_setup& setup, const core::node& node, time_point now);

// For people, whatever bytes the strings hold. `colour`: with terminal escapes, the only ones. Throws
// nlohmann::json::exception on what is not a status.
[[nodiscard]] std::string status_text(const nlohmann::ordered_json& status, bool colour);
[[nodiscard]] std::string fdb_text(const nlohmann::ordered_json& fdb);

// Without anything that a terminal would obey.
[[nodiscard]] std::string printable(std::string text);

// Whether every peer with an endpoint is established.
[[nodiscard]] bool all_established(const nlohmann::ordered_json& status);

}  // namespace lanloom::app
