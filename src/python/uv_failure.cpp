// Reading what uv says when it fails. Two layouts: up to 0.9 a box ("  × No solution … ╰─▶
// Because"), later "error: … / cause: … / hint: …".
#include <algorithm>
#include <array>

#include "base/text.h"
#include "http/client.h"
#include "python/uv.h"

namespace kist::python {
namespace {

constexpr size_t kMaxLines = 200;
constexpr size_t kMaxLineBytes = 2000;

// Import names, and names that sound right, for what is called otherwise.
constexpr std::pair<std::string_view, std::string_view> kOtherwise[] = {
    {"sklearn", "scikit-learn"},
    {"skimage", "scikit-image"},
    {"cv2", "opencv-python"},
    {"opencv", "opencv-python"},
    {"pil", "pillow"},
    {"yaml", "pyyaml"},
    {"bs4", "beautifulsoup4"},
    {"dateutil", "python-dateutil"},
    {"dotenv", "python-dotenv"},
    {"crypto", "pycryptodome"},
    {"mx", "mxnet"},
    {"pytorch", "torch"},
    {"tensorflow-gpu", "tensorflow"},
    {"serial", "pyserial"},
    {"usb", "pyusb"},
    {"git", "gitpython"},
    {"jwt", "pyjwt"},
    {"magic", "python-magic"},
    {"docx", "python-docx"},
    {"pptx", "python-pptx"},
    {"fitz", "pymupdf"},
    {"umap", "umap-learn"},
    {"openssl", "pyopenssl"},
    {"zmq", "pyzmq"},
    {"pkg-resources", "setuptools"},
    {"mpl-toolkits", "matplotlib"},
};

// What data-science projects ask for most, to name the nearest to a misspelt one.
constexpr std::string_view kPopular[] = {"accelerate",
                                         "aiohttp",
                                         "altair",
                                         "anyio",
                                         "arviz",
                                         "beautifulsoup4",
                                         "black",
                                         "bokeh",
                                         "boto3",
                                         "cartopy",
                                         "catboost",
                                         "celery",
                                         "click",
                                         "colorama",
                                         "cryptography",
                                         "cupy",
                                         "cython",
                                         "dask",
                                         "datasets",
                                         "diffusers",
                                         "django",
                                         "duckdb",
                                         "einops",
                                         "fastapi",
                                         "flask",
                                         "geopandas",
                                         "gensim",
                                         "gradio",
                                         "gunicorn",
                                         "h5py",
                                         "httpx",
                                         "huggingface-hub",
                                         "hydra-core",
                                         "imageio",
                                         "ipykernel",
                                         "ipython",
                                         "ipywidgets",
                                         "jax",
                                         "jaxlib",
                                         "jinja2",
                                         "joblib",
                                         "jupyter",
                                         "jupyterlab",
                                         "keras",
                                         "langchain",
                                         "lightgbm",
                                         "lightning",
                                         "lxml",
                                         "matplotlib",
                                         "mlflow",
                                         "mypy",
                                         "nbconvert",
                                         "networkx",
                                         "nltk",
                                         "notebook",
                                         "numba",
                                         "numpy",
                                         "openai",
                                         "opencv-python",
                                         "openpyxl",
                                         "optuna",
                                         "pandas",
                                         "peft",
                                         "pillow",
                                         "plotly",
                                         "polars",
                                         "protobuf",
                                         "psutil",
                                         "psycopg2",
                                         "pyarrow",
                                         "pydantic",
                                         "pymc",
                                         "pyspark",
                                         "pytest",
                                         "python-dateutil",
                                         "pytorch-lightning",
                                         "pyyaml",
                                         "ray",
                                         "redis",
                                         "requests",
                                         "rich",
                                         "ruff",
                                         "safetensors",
                                         "scikit-image",
                                         "scikit-learn",
                                         "scipy",
                                         "seaborn",
                                         "selenium",
                                         "sentencepiece",
                                         "sentence-transformers",
                                         "setuptools",
                                         "shap",
                                         "shapely",
                                         "spacy",
                                         "sqlalchemy",
                                         "statsmodels",
                                         "streamlit",
                                         "sympy",
                                         "tensorboard",
                                         "tensorflow",
                                         "tokenizers",
                                         "torch",
                                         "torchaudio",
                                         "torchvision",
                                         "tqdm",
                                         "transformers",
                                         "typer",
                                         "urllib3",
                                         "uvicorn",
                                         "vllm",
                                         "wandb",
                                         "werkzeug",
                                         "wheel",
                                         "xarray",
                                         "xgboost"};

// Every address in a line loses its credentials.
std::string without_credentials(std::string_view line) {
  std::string out;
  while (true) {
    const size_t colon = line.find("://");
    if (colon == std::string_view::npos) return out.append(line);
    size_t start = line.find_last_of(" `'\"(<", colon);
    start = start == std::string_view::npos ? 0 : start + 1;
    size_t end = std::min(line.find_first_of(" `'\")>", colon), line.size());
    out.append(line.substr(0, start));
    out.append(http::redact(line.substr(start, end - start)));
    line.remove_prefix(end);
  }
}

std::string_view without_prefix(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

struct Said {
  std::string headline;
  std::vector<std::string> explanation;
  std::vector<std::string> hints;
};

// Takes the layout away: "error:", "cause:", "×", "╰─▶", "Caused by:", "hint:".
Said take_apart(std::string_view text) {
  Said out;
  bool in_hint = false;
  const std::vector<std::string_view> all = lines(text);
  for (size_t i = 0; i < std::min(all.size(), kMaxLines); ++i) {
    std::string_view line = trim(all[i].substr(0, kMaxLineBytes));
    if (line.empty()) {
      in_hint = false;
      continue;
    }
    if (line.starts_with("warning:")) continue;
    const bool hint = line.starts_with("hint:");
    for (const char* prefix : {"error:", "×", "╰─▶", "├─▶", "│", "cause:", "Caused by:", "hint:"})
      line = trim(without_prefix(line, prefix));
    const std::string clean = printable(without_credentials(line), kMaxLineBytes);
    if (hint) {
      out.hints.push_back(clean);
      in_hint = true;
    } else if (in_hint) {
      out.hints.back() += fmt::format(" {}", clean);  // A wrapped line.
    } else if (out.headline.empty()) {
      out.headline = clean;
      while (out.headline.ends_with('.') || out.headline.ends_with(':')) out.headline.pop_back();
    } else {
      out.explanation.push_back(clean);
    }
  }
  return out;
}

bool has_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
}

// "… Because scikit-lern was not found in the package registry and …" gives "scikit-lern".
std::string unknown_package(std::string_view text) {
  constexpr std::string_view kSign = " was not found in the ";
  const size_t at = text.find(kSign);
  if (at == std::string_view::npos) return {};
  size_t start = text.find_last_of(" \n", at - 1);
  start = start == std::string_view::npos ? 0 : start + 1;
  return std::string(text.substr(start, at - start));
}

std::string suggestion(const std::string& name) {
  for (const auto& [wrong, right] : kOtherwise)
    if (name == wrong) return std::string(right);
  std::vector<std::string> popular(std::begin(kPopular), std::end(kPopular));
  return nearest(name, popular).value_or("");
}

Code code_of(std::string_view text) {
  if (has_any(text, {"401 Unauthorized", "403 Forbidden", "407 Proxy", "Missing credentials"}))
    return Code::denied;
  if (has_any(text, {"error sending request", "Failed to fetch", "tcp connect error", "dns error",
                     "Request failed after", "operation timed out", "Could not connect",
                     "network was disabled", "network connectivity is disabled"}))
    return Code::unavailable;
  if (has_any(text, {"unexpected argument '--format'", "unrecognized subcommand"}))
    return Code::unsupported;
  if (has_any(text, {" was not found in the "})) return Code::not_found;
  return Code::invalid;
}

// "… and you require old and new, we can conclude …" gives "old".
std::string required_package(std::string_view text) {
  constexpr std::string_view kSign = "you require";
  const size_t at = text.find(kSign);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = trim(text.substr(at + kSign.size()));  // May be the next line.
  const size_t end = rest.find_first_not_of(
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
  std::string_view name = rest.substr(0, end);
  while (name.ends_with('.')) name.remove_suffix(1);
  return std::string(name);
}

// The host of the first address in what uv said.
std::string host_in(std::string_view text) {
  const size_t at = text.find("://");
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + 3);
  return std::string(rest.substr(0, rest.find_first_of(":/ )`'\"")));
}

std::string hint_of(Code code, std::string_view text) {
  if (code == Code::unavailable) return "check the connection and the index: `kist doctor`";
  if (code == Code::denied) {
    const std::string host = host_in(text);
    return fmt::format("put the credentials into ~/.netrc: `machine {} login USER password SECRET`",
                       host.empty() ? "HOST" : host);
  }
  if (code == Code::unsupported)
    return fmt::format("kist needs uv {} or later: `uv self update`", kOldestUv);
  if (code == Code::not_found) {
    const std::string near = suggestion(unknown_package(text));
    if (!near.empty()) return fmt::format("did you mean `{}`?", near);
    return "check the name; `kist doctor` says which index is asked";
  }
  const std::string required = required_package(text);
  if (required.empty()) return {};
  return fmt::format("loosen or leave out one that does not fit, for example: `kist remove {}`",
                     required);
}

}  // namespace

bool uv_needs_build(std::string_view stderr_text) {
  return has_any(stderr_text,
                 {"building from source is disabled", "uilding source distributions",
                  "because building from source is", "no usable wheels"});
}

Error uv_failure(std::string_view stderr_text, const UvRequest& request) {
  const Said said = take_apart(stderr_text);
  const Code code = code_of(stderr_text);
  std::string text = said.headline.empty() ? "uv failed without a word" : said.headline;
  for (const std::string& line : said.explanation) text += fmt::format("\n    {}", line);
  // Its hints explain more than they help: they name its own flags. Without a remedy of ours they
  // are better than none.
  const bool has_remedy = !hint_of(code, text).empty();
  for (const std::string& line : said.hints)
    if (has_remedy) text += fmt::format("\n    {}", line);
  const std::string what = request.files.empty()
                               ? "the requirements"
                               : fmt::format("{}", fmt::join(request.files, ", "));
  Error error = Error(code, "{}", text)
                    .context(fmt::format("cannot resolve {} for {}", printable(what),
                                         request.target.describe()));
  const std::string hint = hint_of(code, text);
  if (!hint.empty()) return std::move(error).hint(hint);
  return std::move(error).hint(fmt::format("{}", fmt::join(said.hints, "; ")));
}

}  // namespace kist::python
