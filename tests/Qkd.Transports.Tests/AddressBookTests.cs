using Qkd.Devices;
using Shouldly;

namespace Qkd.Transports.Tests;

public sealed class AddressBookTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private const string Book = """
        {"instruments":{
          "transmitter":{"driver":"reference.transmitter","address":"TCPIP0::127.0.0.1::41234::SOCKET","endpoints":{}},
          "tagger":{"driver":"idquantique.id900","address":"TCPIP0::127.0.0.1::41235::SOCKET",
            "endpoints":{"Stream":"TCPIP0::127.0.0.1::41236::SOCKET"},"options":{"StreamPort":"43210","SerialNumber":"1"}}}}
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("qkd-book-");
    private readonly AddressBook _book;

    public AddressBookTests() => _book = new(_folder.FullName);

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Waits_for_the_file_and_for_the_entry()
    {
        var waiting = _book.WaitForAsync("Tagger", Patience, TestLimits.Token).WithinLimit();
        await File.WriteAllTextAsync(_book.Path, """{"instruments":{}}""", TestLimits.Token);
        waiting.IsCompleted.ShouldBeFalse();
        Write(Book);

        var entry = await waiting;
        entry.Driver.ShouldBe("idquantique.id900");
        entry.Address.Port.ShouldBe(41235);
    }

    [Fact]
    public async Task Says_what_it_waited_for_in_vain()
    {
        Write(Book);
        var error = await Should.ThrowAsync<DeviceTimeoutException>(
            async () => await _book.WaitForAsync("paddles", TimeSpan.FromMilliseconds(10), TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("sim:paddles");
        error.Message.ShouldContain(_book.Path);
    }

    [Fact]
    public async Task Gives_a_driver_the_real_address_with_endpoints_and_options_of_which_the_configured_win()
    {
        Write(Book);
        var request = new DeviceOpenRequest
        {
            Name = "bob tagger",
            Address = DeviceAddress.Parse("sim:tagger"),
            Options = new Dictionary<string, string> { ["serialnumber"] = "2" },
        };

        var resolved = await _book.ResolveAsync(request, "idquantique.id900", Patience, TestLimits.Token).WithinLimit();

        resolved.Name.ShouldBe("bob tagger");
        resolved.Address.Text.ShouldBe("TCPIP0::127.0.0.1::41235::SOCKET");
        resolved.Options.OrderBy(option => option.Key, StringComparer.OrdinalIgnoreCase).ShouldBe(
        [
            new("Endpoints:Stream", "TCPIP0::127.0.0.1::41236::SOCKET"),
            new("serialnumber", "2"),
            new("StreamPort", "43210"),
        ]);
    }

    [Fact]
    public async Task Leaves_real_addresses_alone()
    {
        var request = new DeviceOpenRequest { Name = "tagger", Address = DeviceAddress.ForTcp("127.0.0.1", 5555) };
        (await _book.ResolveAsync(request, "idquantique.id900", Patience, TestLimits.Token).WithinLimit()).ShouldBeSameAs(request);
    }

    [Fact]
    public async Task Refuses_an_instrument_that_is_for_another_driver()
    {
        Write(Book);
        var request = new DeviceOpenRequest { Name = "attenuator", Address = DeviceAddress.Parse("sim:transmitter") };
        var error = await Should.ThrowAsync<WrongDeviceException>(
            async () => await _book.ResolveAsync(request, "ozoptics.dd100mc", Patience, TestLimits.Token).WithinLimit());
        error.Message.ShouldContain("ozoptics.dd100mc");
        error.Message.ShouldContain("reference.transmitter");
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("{}")]
    [InlineData("""{"instruments":{"a":{"address":"TCPIP0::h::1::SOCKET"}}}""")]
    [InlineData("""{"instruments":{"a":{"driver":"d","address":"nowhere"}}}""")]
    [InlineData("""{"instruments":{"a":{"driver":"d","address":"sim:a"}}}""")]
    public void Names_the_file_that_is_no_address_book(string text)
    {
        Write(text);
        Should.Throw<FormatException>(() => _book.Read()).Message.ShouldContain(_book.Path);
    }

    private void Write(string text)
    {
        var draft = _book.Path + ".new";
        File.WriteAllText(draft, text);
        File.Move(draft, _book.Path, overwrite: true);
    }
}
