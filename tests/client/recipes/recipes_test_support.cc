#include "tests/client/recipes/recipes_test_support.h"

namespace gavel::client::testing {

std::unique_ptr<ChildProcess> RecipesTest::Example(const std::string& name,
                                                   const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {std::string(EXAMPLES) + "/" + name + "_example", Endpoints()};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return std::make_unique<ChildProcess>(all);
}

}  // namespace gavel::client::testing
