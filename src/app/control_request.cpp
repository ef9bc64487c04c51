// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/control_request.hpp>

namespace lanloom::app {

namespace http = boost::beast::http;

namespace {
control_answer blank_for(const control_request& request) {
  control_answer answer;
  answer.version(request.version());
  answer.keep_alive(false);
  answer.set(http::field::server, "lanloom");
  return answer;
}
}  // namespace

control_answer answer_to(const control_request& request, const control_source& source) {
  control_answer answer = blank_for(request);
  if (request.method() != http::verb::get) {
    answer.result(http::status::method_not_allowed);
    answer.set(http::field::allow, "GET");
  } else if (auto body = source({request.target().data(), request.target().size()})) {
    answer.set(http::field::content_type, "application/json");
    answer.body() = std::move(*body);
  } else {
    answer.result(http::status::not_found);
  }
  answer.prepare_payload();
  return answer;
}

control_answer refusal_of(const control_request& request) {
  control_answer answer = blank_for(request);
  answer.result(http::status::forbidden);
  answer.set(http::field::content_type, "text/plain");
  answer.body() = "only root and the group of [control] may ask";
  answer.prepare_payload();
  return answer;
}

}  // namespace lanloom::app
