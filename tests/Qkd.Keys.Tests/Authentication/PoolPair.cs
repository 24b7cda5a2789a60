using System.Security.Cryptography;
using Qkd.Distillation;
using Qkd.Keys.Tests.Support;

namespace Qkd.Keys.Tests.Authentication;

/// <summary>Both ends' pools on real files, without anything around them.</summary>
internal sealed class PoolPair : IDisposable
{
    public const int PadBytes = 32;

    public PoolPair()
    {
        AuthenticationPool.CreatePreShared(Files["alice"], Files["bob"], AuthenticationPool.MinimumPreSharedBits);
        Alice = AuthenticationPool.Open(Files["alice"], LinkEnd.Alice);
        Bob = AuthenticationPool.Open(Files["bob"], LinkEnd.Bob);
    }

    public TempFolder Files { get; } = new();

    public AuthenticationPool Alice { get; private set; }

    public AuthenticationPool Bob { get; private set; }

    public string PreShared(LinkEnd end) => Path.Combine(Folder(end), AuthenticationPool.PreSharedName);

    public string Segments(LinkEnd end) => Path.Combine(Folder(end), "segments");

    public string Folder(LinkEnd end) => Files[end.ToString().ToLowerInvariant()];

    /// <summary>Opens Alice's pool from what a kill at this instant leaves on the disk; the old object is left to itself.</summary>
    public AuthenticationPool Killed(LinkEnd end)
    {
        var copy = Files[$"killed-{Guid.NewGuid():N}"];
        TempFolder.CopyAsTheyAre(Folder(end), copy);
        return AuthenticationPool.Open(copy, end);
    }

    public void Reopen()
    {
        Alice.Dispose();
        Bob.Dispose();
        Alice = AuthenticationPool.Open(Files["alice"], LinkEnd.Alice);
        Bob = AuthenticationPool.Open(Files["bob"], LinkEnd.Bob);
    }

    /// <summary>What a handshake does: both tell, both agree.</summary>
    public void Agree() => Agree(Alice, Bob);

    public static void Agree(AuthenticationPool alice, AuthenticationPool bob)
    {
        var (fromAlice, fromBob) = (alice.DescribePositions(), bob.DescribePositions());
        alice.Agree(fromBob);
        bob.Agree(fromAlice);
    }

    /// <summary>A tagged message from one end to the other, whose tag fits.</summary>
    public static Pad Send(AuthenticationPool from, AuthenticationPool to, int bytes = PadBytes)
    {
        using var sent = from.Reserve(bytes);
        using var received = to.Take(sent.Segment, sent.Offset, bytes);
        received.Bytes.ShouldBe(sent.Bytes);
        sent.Bytes.ShouldContain(b => b != 0);
        to.UseUp(received);
        return sent with { Bytes = [.. sent.Bytes] };
    }

    /// <summary>Both ends feed themselves from a block.</summary>
    public byte[] Feed(long segment, int bytes, bool confirmed = true)
    {
        var key = RandomNumberGenerator.GetBytes(bytes);
        foreach (var pool in (AuthenticationPool[])[Alice, Bob])
        {
            pool.Append(segment, key);
            if (confirmed)
            {
                pool.Confirm(segment);
            }
        }

        return key;
    }

    public void Dispose()
    {
        Alice.Dispose();
        Bob.Dispose();
        Files.Dispose();
    }
}
