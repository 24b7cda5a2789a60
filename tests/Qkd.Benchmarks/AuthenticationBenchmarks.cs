using System.Security.Cryptography;
using BenchmarkDotNet.Attributes;
using Qkd.Distillation;

namespace Qkd.Benchmarks;

/// <summary>The tag of a single message.</summary>
public class AuthenticationBenchmarks
{
    private readonly byte[] _pad = new byte[MessageAuthentication.PadBytes];
    private readonly byte[] _tag = new byte[MessageAuthentication.TagBytes];
    private byte[] _message = [];

    /// <summary>Bytes of a message: small, in the cache, from memory.</summary>
    [Params(32, 1_024, 1 << 20, 64 << 20)]
    public int Bytes { get; set; }

    /// <summary>Draws pad and message anew.</summary>
    [GlobalSetup]
    public void Draw()
    {
        _message = RandomNumberGenerator.GetBytes(Bytes);
        RandomNumberGenerator.Fill(_pad);
    }

    /// <summary>Bytes over time is the rate of the hash.</summary>
    [Benchmark]
    public byte Tag()
    {
        MessageAuthentication.Tag(_pad, _message, _tag);
        return _tag[0];
    }
}
