using System.Reflection;
using System.Security.Cryptography;
using Shouldly;

namespace Qkd.Distillation.Tests.Stages;

/// <summary>What a replay ends in cannot be delivered: not by a mistake in some caller, and not by a cast.</summary>
public sealed class ReplayedKeyTests
{
    private const BindingFlags Everything = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    [Fact]
    public void A_replayed_key_has_no_member_that_gives_its_bits_away()
    {
        typeof(ReplayedKey).IsSealed.ShouldBeTrue();
        typeof(ReplayedKey).BaseType.ShouldBe(typeof(object));
        typeof(ReplayedKey).GetInterfaces().ShouldBe([typeof(IDisposable)]);
        typeof(ReplayedKey).GetConstructors().ShouldBeEmpty();
        typeof(ReplayedKey).GetFields(Everything).ShouldAllBe(field => field.IsPrivate);
        var methods = typeof(ReplayedKey).GetMethods(Everything).Where(method => !method.IsPrivate).ToList();
        methods.Select(method => method.Name).ShouldBe(["get_BlockId", "get_LengthBits", "HasDigest", "IsSameAs", "Dispose", "ToString"], ignoreOrder: true);
        methods.ShouldAllBe(method => method.ReturnType == typeof(void) || method.ReturnType == typeof(bool) || method.ReturnType == typeof(long)
            || method.ReturnType == typeof(int) || method.ReturnType == typeof(string));

        // Nor may it be told to write itself anywhere: what it takes it only reads.
        foreach (var parameter in methods.SelectMany(method => method.GetParameters()))
        {
            parameter.ParameterType.ShouldBe(typeof(ReadOnlySpan<byte>));
        }
    }

    [Fact]
    public void Nothing_in_the_distillation_turns_a_replayed_key_into_another()
    {
        foreach (var type in typeof(ReplayedKey).Assembly.GetTypes().Where(type => type != typeof(ReplayedKey)))
        {
            foreach (var method in type.GetMethods(Everything).Cast<MethodBase>().Concat(type.GetConstructors(Everything)))
            {
                method.GetParameters().ShouldAllBe(parameter => parameter.ParameterType != typeof(ReplayedKey), $"{type}.{method.Name}");
            }
        }

        // The only door from compressed bits to a key asks for the peer's proof.
        typeof(AmplifiedBlock).GetMethods(Everything).Where(method => method.ReturnType == typeof(SecretKey)).ShouldHaveSingleItem()
            .GetParameters().ShouldHaveSingleItem().ParameterType.ShouldBe(typeof(AuthenticatedTranscript));
        typeof(SecretKey).GetConstructors().ShouldBeEmpty();
        typeof(AmplifiedBlock).GetConstructors().ShouldBeEmpty();
    }

    [Fact]
    public void It_tells_whether_it_is_the_same_and_nothing_once_erased()
    {
        var bytes = RandomNumberGenerator.GetBytes(40);
        var bits = new BitString(8 * bytes.Length);
        bytes.CopyTo(System.Runtime.InteropServices.MemoryMarshal.AsBytes(bits.Words));
        var key = new ReplayedKey(5, bits);
        (key.BlockId, key.LengthBits).ShouldBe((5, 320));
        key.IsSameAs(bytes).ShouldBeTrue();
        key.HasDigest(SHA256.HashData(bytes)).ShouldBeTrue();
        key.IsSameAs(bytes.AsSpan(0, 39)).ShouldBeFalse();
        key.IsSameAs([]).ShouldBeFalse();
        bytes[0] ^= 128;
        key.IsSameAs(bytes).ShouldBeFalse();
        key.HasDigest(SHA256.HashData(bytes)).ShouldBeFalse();
        key.ToString().ShouldBe("replay of block 5: 320 bits");
        key.Dispose();
        Should.Throw<ObjectDisposedException>(() => key.IsSameAs(bytes));
        Should.Throw<ObjectDisposedException>(() => key.HasDigest(new byte[32]));
    }
}
