using Xunit.Sdk;
using Xunit.v3;

// Each test runs a whole bench: two at once would only slow each other down.
[assembly: Parallelization(Mode = ParallelMode.None)]
