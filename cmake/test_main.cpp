#define BOOST_TEST_MODULE nucleus
#include <boost/test/unit_test.hpp>
