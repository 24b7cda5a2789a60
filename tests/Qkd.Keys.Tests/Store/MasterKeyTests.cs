using Qkd.Keys.Tests.Support;

namespace Qkd.Keys.Tests.Store;

public sealed class MasterKeyTests
{
    [Fact]
    public void A_file_is_made_once_and_never_overwritten()
    {
        using var files = new TempFolder();
        MasterKey.CreateFile(files["master.key"]);
        var text = File.ReadAllText(files["master.key"]);
        Convert.FromBase64String(text.Trim()).Length.ShouldBe(MasterKey.Length);
        Should.Throw<IOException>(() => MasterKey.CreateFile(files["master.key"]));
        File.ReadAllText(files["master.key"]).ShouldBe(text);
    }

    [Fact]
    public void A_missing_file_says_how_one_is_made()
    {
        using var files = new TempFolder();
        Should.Throw<MasterKeyException>(() => MasterKey.FromFile(files["master.key"])).Message.ShouldContain("qkd init");
    }

    [Theory]
    [InlineData("")]
    [InlineData("AAAA")]
    [InlineData("not base64 at all, but of some length...")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public void What_is_not_256_bits_in_base64_is_refused(string text)
    {
        using var files = new TempFolder();
        OwnerOnlyFile.Create(files["master.key"], System.Text.Encoding.ASCII.GetBytes(text));
        Should.Throw<MasterKeyException>(() => MasterKey.FromFile(files["master.key"])).Message.ShouldContain("256 bits");
    }

    [Fact]
    public void The_environment_gives_the_same_key_as_a_file_and_the_key_is_never_printed()
    {
        using var files = new TempFolder();
        MasterKey.CreateFile(files["master.key"]);
        var text = File.ReadAllText(files["master.key"]).Trim();
        var variable = $"QKD_TEST_{Guid.NewGuid():N}";
        Should.Throw<MasterKeyException>(() => MasterKey.FromEnvironment(variable)).Message.ShouldContain(variable);
        Environment.SetEnvironmentVariable(variable, text);
        using var fromFile = MasterKey.FromFile(files["master.key"]);
        using var fromEnvironment = MasterKey.FromEnvironment(variable);
        fromEnvironment.Derive([1, 2], "a").ShouldBe(fromFile.Derive([1, 2], "a"));
        fromFile.Derive([1, 2], "b").ShouldNotBe(fromFile.Derive([1, 2], "a"));
        fromFile.ToString().ShouldNotContain(text);
        Environment.SetEnvironmentVariable(variable, null);
    }

    [Fact]
    public void A_disposed_key_derives_nothing()
    {
        using var files = new TempFolder();
        MasterKey.CreateFile(files["master.key"]);
        var key = MasterKey.FromFile(files["master.key"]);
        key.Dispose();
        Should.Throw<ObjectDisposedException>(() => key.Derive([1], "a"));
    }

    [Fact]
    public void Options_out_of_range_are_named_with_their_path()
    {
        Should.Throw<KeyStoreException>(() => new KeyStoreOptions { KeySizeBits = 12 }.Validate()).Message.ShouldContain("Keys:KeySizeBits");
        Should.Throw<KeyStoreException>(() => new KeyStoreOptions { WarningBits = 1 }.Validate()).Message.ShouldContain("Keys:WarningBits");
        Should.Throw<KeyStoreException>(() => new KeyStoreOptions { KeyLifetime = TimeSpan.Zero }.Validate()).Message.ShouldContain("Keys:KeyLifetime");
        Should.Throw<KeyStoreException>(() => new KeyManagerOptions { KmeId = "", PeerKmeId = "b" }.Validate()).Message.ShouldContain("Keys:KmeId");
        new KeyStoreOptions().Validate();
    }
}
