#include "registry_server/registry.h"

#include <gtest/gtest.h>

#include "registry_server/gc.h"
#include "registry_server/test_world.h"

namespace kist::registry_server {
namespace {

using testing::Asked;
using testing::World;

TEST(Push, InOneRequestAndWithChunks) {
  World world;
  const std::string digest = Hasher::of(Algorithm::sha256, "hello").string();
  EXPECT_EQ(world.ask("POST", "/v2/a/b/blobs/uploads/?digest=" + digest, "hello").status, 201);
  Asked got = world.ask("GET", "/v2/a/b/blobs/" + digest);
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "hello");
  EXPECT_EQ(got.header("Docker-Content-Digest"), digest);

  const std::string place = world.ask("POST", "/v2/a/b/blobs/uploads/").header("Location");
  EXPECT_EQ(world.ask("PATCH", place, "abc", {{"Content-Range", "0-2"}}).header("Range"), "0-2");
  // Out of order: refused, told where to go on, and nothing is lost.
  got = world.ask("PATCH", place, "xyz", {{"Content-Range", "10-12"}});
  EXPECT_EQ(got.status, 416);
  EXPECT_EQ(got.header("Range"), "0-2");
  EXPECT_EQ(world.ask("GET", place).status, 204);
  const std::string second = Hasher::of(Algorithm::sha256, "abcdef").string();
  EXPECT_EQ(world.ask("PUT", place + "?digest=" + second, "def", {{"Content-Range", "3-5"}}).status, 201);
  EXPECT_EQ(world.ask("GET", "/v2/a/b/blobs/" + second).body, "abcdef");
  EXPECT_EQ(world.uploads.size(), 0u);
}

TEST(Push, ALieAboutTheDigestLeavesNothing) {
  World world;
  const std::string wrong = Hasher::of(Algorithm::sha256, "other").string();
  const Asked answer = world.ask("POST", "/v2/a/blobs/uploads/?digest=" + wrong, "hello");
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("DIGEST_INVALID"), std::string::npos);
  EXPECT_TRUE(os::list_folder(world.root() + "/uploads")->empty());
  EXPECT_TRUE(world.storage->blobs()->empty());
  EXPECT_EQ(world.ask("GET", "/v2/a/blobs/" + wrong).status, 404);
}

TEST(Push, UploadsBelongToTheirRepository) {
  World world;
  const std::string place = world.ask("POST", "/v2/mine/blobs/uploads/").header("Location");
  const std::string id = place.substr(place.rfind('/') + 1);
  EXPECT_EQ(world.ask("PATCH", "/v2/yours/blobs/uploads/" + id, "x").status, 404);
  for (const char* bad : {"0", "..", "../format", "..%2fformat", "%2e%2e%2fformat"})
    EXPECT_EQ(world.ask("PATCH", fmt::format("/v2/mine/blobs/uploads/{}", bad), "x").status, 404) << bad;
  EXPECT_EQ(world.ask("DELETE", place).status, 204);
  EXPECT_EQ(world.ask("GET", place).status, 404);
}

TEST(Push, GoesOnAfterARestart) {
  World world;
  const std::string place = world.ask("POST", "/v2/a/blobs/uploads/").header("Location");
  world.ask("PATCH", place, "abc");
  Uploads restarted({.folder = world.root() + "/uploads"});
  auto upload = restarted.take("a", place.substr(place.rfind('/') + 1));
  ASSERT_TRUE(upload && *upload);
  EXPECT_EQ((*upload)->size_bytes(), 3u);
  ASSERT_TRUE((*upload)->append("def"));
  EXPECT_TRUE((*upload)->finish(Hasher::of(Algorithm::sha256, "abcdef")));
}

TEST(Push, TwoRequestsForOneUploadAtOnce) {
  World world;
  const std::string place = world.ask("POST", "/v2/a/blobs/uploads/").header("Location");
  auto held = world.uploads.take("a", place.substr(place.rfind('/') + 1));
  ASSERT_TRUE(held && *held);
  EXPECT_EQ(world.ask("PATCH", place, "x").status, 409);
  world.uploads.put_back(std::move(*held));
  EXPECT_EQ(world.ask("PATCH", place, "x").status, 202);
}

TEST(Push, SizesAreBounded) {
  World world({}, {.manifest_bytes = 100, .blob_bytes = 10});
  EXPECT_EQ(world.ask("POST", "/v2/a/blobs/uploads/?digest=sha256:" + std::string(64, 'a'), std::string(11, 'x')).status, 413);
  EXPECT_EQ(world.push_manifest("a", "t", std::string(101, ' ')).status, 413);
  EXPECT_TRUE(os::list_folder(world.root() + "/uploads")->empty());
}

TEST(Mount, NeedsTheRightToRead) {
  World world;
  const std::string digest = world.push_blob("from", "hello");
  EXPECT_EQ(world.ask("POST", "/v2/to/blobs/uploads/?mount=" + digest + "&from=from").status, 201);
  EXPECT_EQ(world.ask("HEAD", "/v2/to/blobs/" + digest).status, 200);
  EXPECT_EQ(world.ask("POST", "/v2/anywhere/blobs/uploads/?mount=" + digest).status, 201);
  EXPECT_EQ(world.ask("POST", "/v2/to2/blobs/uploads/?mount=" + digest + "&from=other").status, 202);
  EXPECT_EQ(world.ask("POST", "/v2/to2/blobs/uploads/?mount=" + digest + "&from=../from").status, 202);
}

TEST(Manifests, ByTagAndByDigest) {
  World world;
  const std::string text = World::manifest_of(world.push_blob("a", "config"));
  const Asked put = world.push_manifest("a", "v1", text);
  ASSERT_EQ(put.status, 201) << put.body;
  const std::string digest = put.header("Docker-Content-Digest");
  EXPECT_EQ(put.header("Location"), "/v2/a/manifests/" + digest);
  const Asked got = world.ask("GET", "/v2/a/manifests/v1");
  EXPECT_EQ(got.body, text);
  EXPECT_EQ(got.header("Content-Type"), World::kManifestType);
  EXPECT_EQ(world.ask("GET", "/v2/a/manifests/v1", "", {{"If-None-Match", got.header("ETag")}}).status, 304);
  EXPECT_EQ(world.ask("GET", "/v2/a/manifests/" + digest).body, text);
  EXPECT_EQ(world.ask("GET", "/v2/b/manifests/" + digest).status, 404);
  EXPECT_EQ(world.ask("DELETE", "/v2/a/manifests/v1").status, 202);
  EXPECT_EQ(world.ask("GET", "/v2/a/manifests/v1").status, 404);
  EXPECT_EQ(world.ask("GET", "/v2/a/manifests/" + digest).status, 200);
  EXPECT_EQ(world.ask("DELETE", "/v2/a/manifests/" + digest).status, 202);
  EXPECT_EQ(world.ask("DELETE", "/v2/a/manifests/" + digest).status, 404);
}

TEST(Manifests, WhatIsWrongIsRefused) {
  World world;
  const std::string blob = world.push_blob("a", "config");
  const std::string good = World::manifest_of(blob);
  const struct {
    std::string text;
    std::string_view type;
    int status;
    std::string_view code;
  } kCases[] = {
      {"not json", World::kManifestType, 400, "MANIFEST_INVALID"},
      {"[]", World::kManifestType, 400, "MANIFEST_INVALID"},
      {std::string(5000, '['), World::kManifestType, 400, "MANIFEST_INVALID"},
      {good, "application/vnd.oci.image.index.v1+json", 400, "MANIFEST_INVALID"},
      {R"({"config":{"digest":"md5:0"}})", World::kManifestType, 400, "MANIFEST_INVALID"},
      {R"({"layers":{}})", World::kManifestType, 400, "MANIFEST_INVALID"},
      {R"({"subject":{"digest":"../x"}})", World::kManifestType, 400, "MANIFEST_INVALID"},
      {R"({"layers":[7]})", World::kManifestType, 400, "MANIFEST_INVALID"},
      {"{}", "", 400, "MANIFEST_INVALID"},
      {World::manifest_of("sha256:" + std::string(64, '0')), World::kManifestType, 404, "MANIFEST_BLOB_UNKNOWN"},
  };
  for (const auto& one : kCases) {
    const Asked got = world.push_manifest("a", "t", one.text, one.type);
    EXPECT_EQ(got.status, one.status) << one.text.substr(0, 60);
    EXPECT_NE(got.body.find(one.code), std::string::npos) << got.body;
  }
  EXPECT_EQ(world.push_manifest("a", "sha256:" + std::string(64, '0'), good).status, 400);
  EXPECT_EQ(world.push_manifest("a", "sha256:0", good).status, 400);
  EXPECT_EQ(world.ask("GET", "/v2/a/tags/list").body, "{\"name\":\"a\",\"tags\":[]}\n");
}

TEST(Manifests, AnIndexMayBeSparse) {
  World world;
  const std::string index = R"({"schemaVersion":2,"manifests":[{"digest":"sha256:)" + std::string(64, '1') + R"(","size":3}]})";
  EXPECT_EQ(world.push_manifest("a", "t", index, "application/vnd.oci.image.index.v1+json").status, 201);
}

// A media type comes back in a header: it must not bring lines of its own.
TEST(Manifests, AHostileTypeIsNoHeader) {
  World world;
  const std::string index = R"({"manifests":[]})";
  EXPECT_EQ(world.push_manifest("a", "t", index, "x/y\r\nEvil: yes").status, 201);
  EXPECT_EQ(world.ask("GET", "/v2/a/manifests/t").header("Evil"), "");
}

TEST(Referrers, AreListedFilteredAndGoWithTheirManifest) {
  World world;
  const std::string blob = world.push_blob("a", "config");
  const std::string subject = Hasher::of(Algorithm::sha256, "subject").string();
  const std::string more = fmt::format(R"(,"artifactType":"x/sbom","annotations":{{"k":"v"}},"subject":{{"digest":"{}","size":1}})", subject);
  const Asked put = world.push_manifest("a", "t", World::manifest_of(blob, more));
  ASSERT_EQ(put.status, 201) << put.body;
  EXPECT_EQ(put.header("OCI-Subject"), subject);
  const std::string digest = put.header("Docker-Content-Digest");
  Asked got = world.ask("GET", "/v2/a/referrers/" + subject);
  EXPECT_NE(got.body.find(digest), std::string::npos);
  EXPECT_NE(got.body.find(R"("artifactType":"x/sbom")"), std::string::npos);
  EXPECT_NE(got.body.find(R"("annotations":{"k":"v"})"), std::string::npos);
  got = world.ask("GET", "/v2/a/referrers/" + subject + "?artifactType=x%2Fother");
  EXPECT_EQ(got.header("OCI-Filters-Applied"), "artifactType");
  EXPECT_NE(got.body.find(R"("manifests":[])"), std::string::npos);
  world.ask("DELETE", "/v2/a/manifests/" + digest);
  EXPECT_NE(world.ask("GET", "/v2/a/referrers/" + subject).body.find(R"("manifests":[])"), std::string::npos);
}

TEST(Tags, PageByPage) {
  World world;
  const std::string index = R"({"manifests":[]})";
  for (const char* tag : {"c", "a", "B", "b"}) world.push_manifest("x/y", tag, index, "x/y");
  Asked got = world.ask("GET", "/v2/x/y/tags/list?n=2");
  EXPECT_EQ(got.body, "{\"name\":\"x/y\",\"tags\":[\"B\",\"a\"]}\n");
  EXPECT_EQ(got.header("Link"), "</v2/x/y/tags/list?n=2&last=a>; rel=\"next\"");
  got = world.ask("GET", "/v2/x/y/tags/list?n=2&last=a");
  EXPECT_EQ(got.body, "{\"name\":\"x/y\",\"tags\":[\"b\",\"c\"]}\n");
  EXPECT_EQ(got.header("Link"), "");
  EXPECT_EQ(world.ask("GET", "/v2/x/y/tags/list?n=0").body, "{\"name\":\"x/y\",\"tags\":[]}\n");
  EXPECT_EQ(world.ask("GET", "/v2/x/y/tags/list?n=-1").status, 400);
  EXPECT_EQ(world.ask("GET", "/v2/nothing/tags/list").status, 404);
  EXPECT_EQ(world.ask("GET", "/v2/_catalog").body, "{\"repositories\":[\"x/y\"]}\n");
}

TEST(Blobs, Ranges) {
  World world;
  const std::string digest = world.push_blob("a", "0123456789");
  const Asked part = world.ask("GET", "/v2/a/blobs/" + digest, "", {{"Range", "bytes=2-4"}});
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "234");
  EXPECT_EQ(part.header("Content-Range"), "bytes 2-4/10");
  EXPECT_EQ(world.ask("GET", "/v2/a/blobs/" + digest, "", {{"Range", "bytes=10-"}}).status, 416);
  EXPECT_EQ(world.ask("GET", "/v2/a/blobs/" + digest, "", {{"Range", "bytes=2-4"}, {"If-Range", "\"other\""}}).status, 200);
}

TEST(Names, PathTricksReachNothing) {
  World world;
  for (const char* path : {"/v2/../manifests/x", "/v2/a/../../manifests/x", "/v2/%2e%2e/manifests/x", "/v2/a%2f..%2fb/manifests/x",
                           "/v2/_tags/manifests/x", "/v2/a/_manifests/manifests/x", "/v2/A/manifests/x", "/v2/a/manifests/..",
                           "/v2/a/manifests/.", "/v2/a/manifests/%2e%2e", "/v2/a/blobs/sha256:..", "/v2/a//manifests/x"}) {
    const Asked got = world.ask("GET", path);
    EXPECT_EQ(got.status, 404) << path;
    EXPECT_EQ(world.ask("PUT", path, "{}", {{"Content-Type", "x/y"}}).status / 100, 4) << path;
  }
  EXPECT_EQ(os::list_folder(world.folder.path())->size(), 1u);
}

TEST(ReadOnly, NothingIsTaken) {
  World world({}, {.is_read_only = true});
  EXPECT_EQ(world.ask("POST", "/v2/a/blobs/uploads/").status, 405);
  EXPECT_EQ(world.push_manifest("a", "t", "{}").status, 405);
  EXPECT_EQ(world.ask("DELETE", "/v2/a/manifests/t").status, 405);
  EXPECT_EQ(world.ask("GET", "/v2/").status, 200);
}

TEST(Quotas, AreKept) {
  World world({}, {}, {{"team/**", 10}});
  world.push_blob("team/a", "123456");
  const std::string digest = Hasher::of(Algorithm::sha256, "abcdef").string();
  EXPECT_EQ(world.ask("POST", "/v2/team/b/blobs/uploads/?digest=" + digest, "abcdef").status, 403);
  EXPECT_EQ(world.ask("POST", "/v2/other/blobs/uploads/?digest=" + digest, "abcdef").status, 201);
  // The same blob again costs nothing, and what is deleted is given back.
  EXPECT_EQ(world.push_blob("team/a", "123456").size(), 71u);
  world.ask("DELETE", "/v2/team/a/blobs/" + Hasher::of(Algorithm::sha256, "123456").string());
  EXPECT_EQ(world.ask("POST", "/v2/team/b/blobs/uploads/?digest=" + digest, "abcdef").status, 201);
}

TEST(Metrics, CountWhatWasAsked) {
  World world;
  world.ask("GET", "/v2/");
  world.ask("GET", "/v2/a/manifests/x");
  const std::string text = world.ask("GET", "/metrics").body;
  EXPECT_NE(text.find("method=\"GET\",status=\"4xx\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("kist_registry_request_seconds_count 2\n"), std::string::npos);
  EXPECT_EQ(world.ask("GET", "/healthz").status, 200);
  EXPECT_EQ(world.ask("GET", "/readyz").status, 200);
}

TEST(Gc, TakesWhatNobodyNeeds) {
  World world;
  const std::string kept = world.push_blob("a", "config");
  const std::string loose = world.push_blob("a", "loose");
  world.push_manifest("a", "t", World::manifest_of(kept));
  const int64_t now = ::time(nullptr);
  auto report = collect_garbage(world.catalog, {}, {.grace = std::chrono::hours(1)}, now);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->blobs, 0u) << "young";
  report = collect_garbage(world.catalog, {}, {.grace = std::chrono::hours(1), .is_dry_run = true}, now + 7200);
  EXPECT_EQ(report->blobs, 1u);
  EXPECT_EQ(report->links, 1u);
  EXPECT_TRUE(*world.catalog.has_blob("a", *ContentDigest::parse(loose))) << "a dry run takes nothing away";
  report = collect_garbage(world.catalog, {}, {.grace = std::chrono::hours(1)}, now + 7200);
  EXPECT_EQ(report->links, 1u);
  EXPECT_EQ(report->blobs, 1u);
  EXPECT_EQ(report->freed_bytes, 5u);
  EXPECT_EQ(world.ask("HEAD", "/v2/a/blobs/" + kept).status, 200);
  EXPECT_EQ(world.ask("HEAD", "/v2/a/blobs/" + loose).status, 404);
}

TEST(Gc, RetentionAndUntagged) {
  World world;
  const std::string blob = world.push_blob("a", "config");
  for (const char* tag : {"1", "2", "3", "keep"}) world.push_manifest("a", tag, World::manifest_of(blob, fmt::format(R"(,"x":"{}")", tag)));
  // Set one after the other: 1 first.
  const int64_t now = ::time(nullptr);
  for (const char* tag : {"1", "2", "3"}) {
    const timespec then{now - 1000 + *tag * 10, 0};
    const timespec both[2] = {then, then};
    ASSERT_EQ(::utimensat(AT_FDCWD, (world.root() + "/" + tag_key("a", tag)).c_str(), both, 0), 0);
  }
  // A referrer of what stays stays; one of what goes goes with it.
  const auto tagged = [&](const char* tag) { return world.ask("HEAD", fmt::format("/v2/a/manifests/{}", tag)).header("Docker-Content-Digest"); };
  const std::string of_kept = World::manifest_of(blob, fmt::format(R"(,"subject":{{"digest":"{}","size":1}})", tagged("keep")));
  const std::string of_gone = World::manifest_of(blob, fmt::format(R"(,"subject":{{"digest":"{}","size":1}})", tagged("1")));
  const auto put = [&](const std::string& text) { return world.push_manifest("a", Hasher::of(Algorithm::sha256, text).string(), text).status; };
  ASSERT_EQ(put(of_kept), 201);
  ASSERT_EQ(put(of_gone), 201);
  const std::vector<Retention> rules{{.repositories = "a", .tags = {"1", "2", "3"}, .keep_last = 1, .keep_for = {}}};
  const auto report = collect_garbage(world.catalog, rules, {.grace = std::chrono::hours(1), .takes_untagged = true}, now + 7200);
  ASSERT_TRUE(report) << report.error().render();
  EXPECT_EQ(report->tags, 2u);
  EXPECT_EQ(report->manifests, 3u);
  EXPECT_EQ(world.ask("GET", "/v2/a/manifests/" + Hasher::of(Algorithm::sha256, of_kept).string()).status, 200);
  EXPECT_EQ(world.ask("GET", "/v2/a/manifests/" + Hasher::of(Algorithm::sha256, of_gone).string()).status, 404);
}

TEST(Folder, OthersFoldersAreLeftAlone) {
  const auto folder = os::TempDir::make(::testing::TempDir());
  ASSERT_TRUE(os::write_file_atomically(folder->path() + "/mine", "x"));
  EXPECT_FALSE(FolderStorage::open(folder->path()));
  ASSERT_TRUE(os::make_folders(folder->path() + "/new"));
  ASSERT_TRUE(os::write_file_atomically(folder->path() + "/new/format", "kist-registry 9\n"));
  const auto newer = FolderStorage::open(folder->path() + "/new");
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code(), Code::unsupported);
}

TEST(Rate, IsBoundedForEachClient) {
  RateLimit rate(1, 2, 2);
  const auto now = RateLimit::Clock::now();
  EXPECT_TRUE(rate.allows("a", now));
  EXPECT_TRUE(rate.allows("a", now));
  EXPECT_FALSE(rate.allows("a", now));
  EXPECT_TRUE(rate.allows("b", now));
  EXPECT_TRUE(rate.allows("a", now + std::chrono::seconds(1)));
}

}  // namespace
}  // namespace kist::registry_server
