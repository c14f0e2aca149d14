#include "verbs/listing.h"

#include "base/text.h"

namespace kist::verbs {

Result<engine::Packages> list_packages(const cli::Parsed& parsed,
                                       const environment::Context& context) {
  const launch::RunRequest request = TRY(request_of(parsed));
  engine::Project project = TRY(engine::locate(request, context.host));
  const python::Inputs inputs = TRY(engine::read_inputs(project, request, context.host));
  const auto lock = TRY(engine::read_lock(project, context.progress));
  if (!lock)
    return Error(Code::not_found, "there is no lock '{}'", printable(project.lock_path))
        .hint("`kist lock`");
  if (!engine::is_current(*lock, inputs))
    context.progress.warn("the lock does not match the inputs; this is about the lock");
  return engine::read_packages(context, project, inputs, *lock);
}

std::string title_of(const engine::Package& package) {
  return fmt::format("{} {}", printable(package.name), printable(package.version));
}

const char* kind_text(engine::Package::Kind kind) {
  switch (kind) {
    case engine::Package::Kind::python: return "python";
    case engine::Package::Kind::debian: return "debian";
    case engine::Package::Kind::interpreter: return "interpreter";
    case engine::Package::Kind::image: return "image";
  }
  return "";
}

}  // namespace kist::verbs
