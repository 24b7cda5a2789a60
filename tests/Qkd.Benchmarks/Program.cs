// Run on an idle machine with: dotnet run -c Release --project tests/Qkd.Benchmarks -- --filter '*Sifting*' (or another part of a name, or '*').
using BenchmarkDotNet.Running;

BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
