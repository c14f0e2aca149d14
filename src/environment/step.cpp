#include "environment/step.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "base/text.h"

namespace kist::environment {
namespace {

struct Pipe {
  os::Fd read_end;
  os::Fd write_end;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error::from_errno(errno, "pipe");
  return Pipe{os::Fd(ends[0]), os::Fd(ends[1])};
}

// Reads to the end, keeps the first `limit` bytes. A program that never stops printing is thereby
// neither blocked nor able to fill our memory.
void drain(const os::Fd& fd, size_t limit, std::string& kept) {
  char buffer[64 << 10];
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    kept.append(buffer, std::min(static_cast<size_t>(got), limit - std::min(limit, kept.size())));
  }
}

// A file without a name that holds what the step reads on stdin.
Result<os::Fd> input_of(const Step& step) {
  if (step.input.empty()) return os::open_file("/dev/null", O_RDONLY);
  os::Fd fd(::memfd_create("input", MFD_CLOEXEC));
  if (!fd.is_open()) return Error::from_errno(errno, "memfd_create");
  TRY(os::write_all(fd, step.input));
  if (::lseek(fd.get(), 0, SEEK_SET) < 0) return Error::from_errno(errno, "lseek");
  return fd;
}

runtime::ContainerSpec spec_of(const Step& step) {
  runtime::ContainerSpec spec;
  spec.root = step.root;
  spec.upper_folder = step.upper_folder;
  spec.mounts = step.mounts;
  spec.args = step.args;
  spec.env = step.env;
  spec.working_dir = step.working_dir;
  if (step.as_root) {
    spec.uid = 0;
    spec.gid = 0;
  }
  spec.network = step.network ? runtime::Network::host : runtime::Network::none;
  spec.host_network_files = step.network;
  spec.keep_capabilities = step.privileged;
  spec.forward_signals = false;
  return spec;
}

}  // namespace

Result<StepOutput> run_step(const Step& step) {
  Pipe out = TRY(make_pipe());
  Pipe err = TRY(make_pipe());
  const os::Fd input = TRY(input_of(step));
  runtime::ContainerSpec spec = spec_of(step);
  spec.standard_input = &input;
  spec.standard_output = &out.write_end;
  spec.standard_error = &err.write_end;

  StepOutput output;
  std::thread out_reader([&] { drain(out.read_end, step.output_limit_bytes, output.out); });
  std::thread err_reader([&] { drain(err.read_end, step.output_limit_bytes, output.err); });
  auto exit = runtime::run(spec);
  out.write_end = os::Fd();
  err.write_end = os::Fd();
  out_reader.join();
  err_reader.join();
  if (!exit) return std::move(exit).error().context(step.name);
  if (exit->not_started) return Error(std::move(*exit->not_started)).context(step.name);
  output.status = exit->status;
  return output;
}

std::string tail_of(const StepOutput& output, size_t count) {
  const auto all = lines(output.err.empty() ? output.out : output.err);
  std::string text;
  for (size_t i = all.size() > count ? all.size() - count : 0; i < all.size(); ++i)
    text += fmt::format("\n    {}", printable(all[i], 400));
  return text;
}

}  // namespace kist::environment
