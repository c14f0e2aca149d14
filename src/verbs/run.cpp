#include "verbs/run.h"

#include <thread>

#include "cli/run_args.h"
#include "engine/prepare.h"

namespace kist::verbs {
namespace {

constexpr int kKistFailed = 125;  // As docker.

Result<runtime::Exit> run(const environment::Context& context, const launch::RunRequest& request) {
  engine::Prepared prepared = TRY(engine::prepare(context, request));
  const runtime::ContainerSpec spec =
      TRY(launch::container_of(prepared.ready, request, context.host));
  const std::optional<store::Lease> lease = std::move(prepared.lease);  // Until the program ends.
  // The program starts now; making what it runs on durable takes the disk's time meanwhile.
  Result<void> finished;
  std::thread finisher(
      [&] { finished = engine::finish(context, std::move(prepared)); });
  auto exit = runtime::run(spec);
  finisher.join();
  if (!finished) context.progress.warn("not kept for the next run: " + finished.error().message());
  return exit;
}

}  // namespace

int run_verb(const environment::Context& context, const launch::RunRequest& request,
             cli::Terminal& terminal) {
  const auto exit = run(context, request);
  if (!exit) {
    terminal.error(exit.error());
    return kKistFailed;
  }
  if (exit->not_started) terminal.error(*exit->not_started);
  return exit->status;
}

}  // namespace kist::verbs
