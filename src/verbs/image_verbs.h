// Verbs about images of containers: images, load, save, import, tag, rmi, inspect, history. One file
// each; names, columns and messages are docker's wherever it has the same.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "cli/terminal.h"
#include "environment/context.h"
#include "images/image_store.h"
#include "images/intake.h"

namespace kist::verbs {

bool is_image_verb(std::string_view name);
/// Returns the exit status.
Result<int> image_verb(std::string_view name, const cli::Parsed& parsed,
                       const environment::Context& context, cli::Terminal& terminal);

/// "image rm X" as "rmi X", and so on; other command lines as they are.
std::vector<std::string> without_image_word(std::vector<std::string> args);

Result<int> image_exists_verb(const cli::Parsed& parsed, const environment::Context& context);
Result<int> images_verb(const cli::Parsed& parsed, const environment::Context& context,
                        cli::Terminal& terminal);
Result<int> load_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal);
Result<int> save_verb(const cli::Parsed& parsed, const environment::Context& context,
                      cli::Terminal& terminal);
Result<int> import_verb(const cli::Parsed& parsed, const environment::Context& context,
                        cli::Terminal& terminal);
Result<int> tag_verb(const cli::Parsed& parsed, const environment::Context& context,
                     cli::Terminal& terminal);
Result<int> rmi_verb(const cli::Parsed& parsed, const environment::Context& context,
                     cli::Terminal& terminal);
Result<int> inspect_verb(const cli::Parsed& parsed, const environment::Context& context,
                         cli::Terminal& terminal);
Result<int> history_verb(const cli::Parsed& parsed, const environment::Context& context,
                         cli::Terminal& terminal);

/// For `kist run --image` where launch::find_image() knew none, or --pull always: brings the image here if
/// need be, and makes its root and ready files. Returns kStartAgain: with them, the container is the
/// starter's to start. Errors: not_found, those of engine::pull_image().
constexpr int kStartAgain = -1;
Result<int> make_image_ready(const cli::Parsed& parsed, const environment::Context& context);

/// What `images` shows of it: a line for each of its names, or one for none.
std::vector<boost::json::object> image_fields(const images::Image& image, int64_t now_s);
/// One image as `docker image inspect` shows it.
boost::json::object image_json(const images::Image& image);
images::Intake intake_of(const environment::Context& context);
/// Into the journal of events. `name` empty: by id.
void note_image(const environment::Context& context, const char* action, const oci::Digest& id, const std::string& name);
/// 12 digits, as docker shortens ids.
std::string short_id(const oci::Digest& digest);

}  // namespace kist::verbs
