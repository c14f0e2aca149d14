// kist tag IMAGE NAME…
#include "environment/root_variant.h"
#include "verbs/image_verbs.h"

namespace kist::verbs {

Result<int> tag_verb(const cli::Parsed& parsed, const environment::Context& context,
                     cli::Terminal& terminal) {
  (void)terminal;
  const images::ImageStore store(context.store);
  const images::Image image = TRY(store.find(parsed.positionals()[0]));
  std::vector<std::string> names;
  for (size_t i = 1; i < parsed.positionals().size(); ++i) {
    const oci::Reference name = TRY(oci::Reference::parse(parsed.positionals()[i]), "NAME");
    if (name.digest)
      return Error(Code::invalid, "refusing to create a tag with a digest reference")
          .hint("write it as `[REGISTRY/]NAME[:TAG]`");
    names.push_back(name.name());
  }
  for (const std::string& name : names) {
    TRY(store.tag(image, name, environment::variant_of(context)));
    note_image(context, "tag", image.id, name);
  }
  return 0;
}

}  // namespace kist::verbs
