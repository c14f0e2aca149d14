#include "verbs/run.h"

#include <future>
#include <thread>

#include "cli/run_args.h"
#include "engine/bytecode_job.h"
#include "engine/prepare.h"
#include "os/helper.h"
#include "os/thread_signals.h"

namespace kist::verbs {
namespace {

constexpr int kKistFailed = 125;  // As docker.
constexpr std::chrono::milliseconds kBeforeCompiling{0};

// What completes the environment with byte-code; empty when it is complete.
std::vector<std::string> compile_command(const engine::Prepared& prepared) {
  if (prepared.ready.bytecode_plan.empty()) return {};
  return {"/proc/self/exe", std::string(engine::kBytecodeJob), prepared.project.ready_path};
}

Result<runtime::Exit> run(const environment::Context& context, const launch::RunRequest& request) {
  engine::Prepared prepared = TRY(engine::prepare(context, request));
  const runtime::ContainerSpec spec =
      TRY(launch::container_of(prepared.ready, request, context.host));
  const std::optional<store::Lease> lease = std::move(prepared.lease);  // Until the program ends.
  const std::vector<std::string> compile_bytecode = compile_command(prepared);
  // The program starts now; making what it runs on durable takes the disk's time meanwhile, and then
  // its byte-code the time that the program leaves.
  Result<void> finished;
  std::promise<void> ended;
  std::thread finisher([&, end = ended.get_future()] {
    os::leave_signals_to_others();
    finished = engine::finish(context, std::move(prepared));
    if (!finished || compile_bytecode.empty()) return;
    // It dies with the thread that started it, so that thread stays.
    const auto compiler = os::Helper::start(compile_bytecode, kBeforeCompiling);
    end.wait();
  });
  auto exit = runtime::run(spec);
  ended.set_value();
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
