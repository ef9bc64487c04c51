// SPDX-License-Identifier: Apache-2.0
#include "../../src/app/toml_text.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace lanloom::app;

TEST_CASE("text that the parser may have") {
  for (const char* text : {
           "",
           "\xef\xbb\xbf# gr\xc3\xbc\xc3\x9f\n",
           "a = 1 # \xc3\xa9",
           "a = \"\xc3\xa9\"",
           "a = '\xc3\xa9' # '",
           "a = [[\"\xc3\xa9\",\"\xc3\xa9\"], \"\xc3\xa9\"]",
           "a = \"\\\"\xc3\xa9\"",    // an escaped quote does not end the string
           "a = \"#\" # \"\xc3\xa9",  // no comment inside, no string behind
           "a = \"\"\"x\"\"\"\"\"\nb = 1 # \xc3\xa9",
           "a = '''x\n'''\nb = 'x\xc3\xa9'",
       }) {
    CAPTURE(text);
    CHECK_FALSE(refuse_text(text));
  }
  CHECK_FALSE(refuse_text(std::string(512, 'x') + "\n" + std::string(512, 'x')));
}

TEST_CASE("text that the parser must not have") {
  const auto at = [](std::string_view text) { return refuse_text(text).value().at; };
  CHECK((at("\xc3\xa9") == position{1, 1}));
  CHECK((at("a = \xc3\xa9") == position{1, 5}));
  CHECK((at("a = \"\xc3\xa9\" \xc3\xa9") == position{1, 9}));
  CHECK((at("a = '\\'\xc3\xa9") == position{1, 8}));    // nothing is escaped in '...'
  CHECK((at("a = 1\"x\xc3\xa9\"") == position{1, 8}));  // a bare value runs on through quotes
  CHECK((at("a = 1[\"\xc3\xa9\"]") == position{1, 8}));
  CHECK((at("a=\"\xc3\xa9\"") == position{1, 4}));
  CHECK((at("# x\n\xc3\xa9") == position{2, 1}));
  CHECK((at("a = \"x\n\xc3\xa9") == position{2, 1}));  // the line's end ends the string
  CHECK((at("a = \"\"\"\\\n  \xc3\xa9\"\"\"") == position{2, 3}));
  CHECK((at("a = '''\n\xc3\xa9'''") == position{2, 1}));
  CHECK((at(std::string(513, 'x')) == position{1, 1}));
  CHECK((at("\n" + std::string(513, 'x')) == position{2, 1}));
}
