using System.Security.Cryptography;
using Qkd.Distillation;

namespace Qkd.Cli.Benchmarking;

/// <summary>Wegman-Carter tags over a long message, larger than the caches.</summary>
internal sealed class AuthenticationStage : IBenchmarkStage
{
    public string Name => "auth";

    public IEnumerable<BenchmarkFigure> Measure(TimeSpan time, CancellationToken cancellationToken)
    {
        var message = RandomNumberGenerator.GetBytes(64 << 20);
        var pad = RandomNumberGenerator.GetBytes(MessageAuthentication.PadBytes);
        var tag = new byte[MessageAuthentication.TagBytes];
        var seconds = Measuring.Seconds(time, () => MessageAuthentication.Tag(pad, message, tag), cancellationToken);
        yield return new("auth_gbps", message.Length / seconds / 1e9, "GB/s", "a message of 64 MiB");
    }
}
