// The environment, which the configuration reads, is one for the whole process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
