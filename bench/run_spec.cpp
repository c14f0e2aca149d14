// run_spec: the runtime library alone, without the rest of kist in front of it, to be measured
// against bench/floor.c. The same arguments as floor, and some more to play with:
//   run_spec [--erofs IMG --objects DIR | --lower DIR...] [--project DIR] [--id UID] [--root]
//            [--upper DIR] [--no-network] [--read-only] CMD...
#include <pwd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "runtime/container.h"

int main(int argc, char** argv) {
  using namespace kist;
  runtime::ContainerSpec spec;
  spec.env = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "TERM=xterm"};
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; ++i) {
    const std::string_view flag = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : (std::exit(2), nullptr); };
    if (flag == "--erofs")
      spec.root.erofs_image = value();
    else if (flag == "--objects")
      spec.root.objects = value();
    else if (flag == "--lower")
      spec.root.lowers.emplace_back(value());
    else if (flag == "--upper")
      spec.upper_folder = value();
    else if (flag == "--id")
      spec.uid = spec.gid = static_cast<uid_t>(std::atoi(value()));
    else if (flag == "--root")
      spec.uid = spec.gid = 0;
    else if (flag == "--no-network")
      spec.network = runtime::Network::none;
    else if (flag == "--read-only")
      spec.read_only_root = true;
    else if (flag == "--memory")
      spec.limits.memory_bytes = std::strtoull(value(), nullptr, 10);
    else if (flag == "--pids")
      spec.limits.pids = std::strtoull(value(), nullptr, 10);
    else if (flag == "--cpus")
      spec.limits.cpus = std::atof(value());
    else if (flag == "--project") {
      spec.working_dir = value();
      spec.mounts.push_back({.source = spec.working_dir, .target = spec.working_dir});
    } else
      return 2;
  }
  for (; i < argc; ++i) spec.args.emplace_back(argv[i]);
  if (spec.uid != 0) {
    spec.passwd_line = "user:x:" + std::to_string(spec.uid) + ":" + std::to_string(spec.gid) +
                       "::/home/user:/bin/sh";
    spec.group_line = "user:x:" + std::to_string(spec.gid) + ":";
  }
  const Result<runtime::Exit> exit = runtime::run(spec);
  if (!exit) {
    std::fputs(exit.error().render().c_str(), stderr);
    return 125;
  }
  if (exit->not_started) std::fputs(exit->not_started->render().c_str(), stderr);
  return exit->status;
}
